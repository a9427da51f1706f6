/*
 * Vectors, and behind them at a fixed place the jump table of abi.def: twelve bytes an entry, the branch and where it goes. An
 * entry changes no register, because the compiler's arithmetic passes arguments in all of r0 to r3 and expects ip alone to be lost.
 */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .vectors, "ax"
    .word stack_top
    .word reset
    .word unexpected             /* NMI */
    .word hard_fault
    .rept 7
    .word unexpected
    .endr
    .word unexpected             /* SVC */
    .word unexpected
    .word unexpected
    .word unexpected             /* PendSV */
    .word unexpected             /* SysTick */
    .word timer_interrupt        /* 0: TIMER_IRQ_0 */
    .rept 19
    .word unexpected
    .endr
    .word uart0_interrupt        /* 20 */
    .word uart1_interrupt        /* 21 */
    .rept 10
    .word unexpected
    .endr

/* A board among peers has no app in a slot, and no table. */
#ifdef ABI_ENTRIES
    .macro ENTRY_STUB function
    push {r0, r1}
    ldr r0, 1f
    str r0, [sp, #4]
    pop {r0, pc}
1:  .word \function
    .endm

#define ENTRY(name, function) ENTRY_STUB function
#include "../common/abi.def"
#endif
