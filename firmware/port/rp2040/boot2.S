/*
 * Second stage: the boot ROM copies these 252 bytes to RAM and checks the CRC that the toolchain puts behind them. It makes flash
 * readable in place with the plain read command (03h, which every part knows, at a quarter of the system clock) and enters
 * the image at 0x10000100.
 */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot2, "ax"
    .global boot2
    .thumb_func
boot2:
    ldr r3, =0x18000000         /* SSI */
    movs r0, #0
    str r0, [r3, #0x08]         /* SSIENR: off while it is set up */
    movs r0, #4
    str r0, [r3, #0x14]         /* BAUDR: a quarter of the system clock */
    ldr r0, =0x001f0300         /* CTRLR0: 32-bit frames, command then read */
    str r0, [r3, #0x00]
    ldr r1, =0x000000f4         /* SPI_CTRLR0, offset */
    ldr r0, =0x03000218         /* 03h, 8 bits of command, 24 of address */
    str r0, [r3, r1]
    movs r0, #0
    str r0, [r3, #0x04]         /* CTRLR1: one frame */
    movs r0, #1
    str r0, [r3, #0x08]         /* on */

    ldr r0, =0x10000100         /* vectors of the image */
    ldr r1, =0xe000ed08         /* VTOR */
    str r0, [r1]
    ldr r1, [r0]
    msr msp, r1
    ldr r1, [r0, #4]
    bx r1
    .ltorg
