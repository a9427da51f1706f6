// Second stage of the test firmware: flash becomes readable by command 03h, then the vectors at 0x10000100 start.
// The ROM runs it from the end of SRAM; the builder puts its CRC into the last four of its 256 bytes.
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot2, "ax"
    .global boot2
boot2:
    ldr r0, =0x18000000     // XIP_SSI
    movs r1, #0
    str r1, [r0, #0x08]     // SSIENR off
    movs r1, #4
    str r1, [r0, #0x14]     // BAUDR: 31.25 MHz of 125
    ldr r1, =0x001f0300     // CTRLR0: 32-bit frames, EEPROM read
    str r1, [r0, #0x00]
    movs r1, #0
    str r1, [r0, #0x04]     // CTRLR1: one frame
    ldr r1, =0x03000218     // SPI_CTRLR0: command 03h of 8 bits, 24 bits of address
    ldr r2, =0x180000f4
    str r1, [r2]
    movs r1, #1
    str r1, [r0, #0x08]     // SSIENR on
    mov r3, lr
    cmp r3, #0
    beq start
    bx r3                   // called again after a flash operation
start:
    ldr r0, =0x10000100
    ldr r1, =0xe000ed08     // VTOR
    str r0, [r1]
    ldr r1, [r0]
    msr msp, r1
    ldr r1, [r0, #4]
    bx r1
    .ltorg
