/** From reset to board_main(): memory, clocks, peripherals. */
#include <string.h>

#include "../wasm/traps.h"
#include "board.h"
#include "registers.h"
#include "uart.h"

extern uint8_t data_load[], data_start[], data_end[], bss_start[], bss_end[];

void reset(void);

static void wait_for(uint32_t address, uint32_t bits) {
  while ((REGISTER(address) & bits) != bits) continue;
}
static void unreset(uint32_t bits) {
  SET_BITS(RESETS_RESET) = bits;
  CLEAR_BITS(RESETS_RESET) = bits;
  wait_for(RESETS_DONE, bits);
}

/** 12 MHz crystal; 12 * 125 / 6 / 2 = 125 MHz system clock, which the UARTs take too; the ADC takes the crystal. */
static void start_clocks(void) {
  REGISTER(XOSC_STARTUP) = 47; /* 1 ms, in units of 256 cycles */
  REGISTER(XOSC_CTRL) = 0xfabaa0;
  wait_for(XOSC_STATUS, 1u << 31);
  REGISTER(CLK_SYS_CTRL) = 0;
  wait_for(CLK_SYS_SELECTED, 1u << 0);
  REGISTER(CLK_REF_CTRL) = 2;
  wait_for(CLK_REF_SELECTED, 1u << 2);
  unreset(RESET_PLL_SYS);
  REGISTER(PLL_CS) = 1;
  REGISTER(PLL_FBDIV) = 125;
  CLEAR_BITS(PLL_PWR) = 1u << 0 | 1u << 5;
  wait_for(PLL_CS, 1u << 31);
  REGISTER(PLL_PRIM) = 6u << 16 | 2u << 12;
  CLEAR_BITS(PLL_PWR) = 1u << 3;
  REGISTER(CLK_SYS_CTRL) = 1;
  wait_for(CLK_SYS_SELECTED, 1u << 1);
  REGISTER(CLK_PERI_CTRL) = CLK_ENABLE;
  REGISTER(CLK_ADC_CTRL) = CLK_ENABLE | 3u << 5;
  /* A microsecond each twelve cycles of the crystal, for timer and watchdog. */
  REGISTER(WATCHDOG_TICK) = 1u << 9 | 12;
}

void reset(void) {
  memcpy(data_start, data_load, (uint32_t)(data_end - data_start));
  memset(bss_start, 0, (uint32_t)(bss_end - bss_start));
  board_note_reset();
  start_clocks();
  unreset(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0 | RESET_UART1 | RESET_ADC | RESET_PWM);
  board_start();
  uart_start();
  board_main();
}

/** Nothing that is enabled lands here: the program counter or a register is wrong. */
void unexpected(void) {
  base_panic(TRAP_NONE, 0);
}

/** The stacked program counter says where. */
__attribute__((naked)) void hard_fault(void) {
  __asm__ volatile(
      "mrs r0, msp\n"
      "ldr r1, [r0, #24]\n"
      "movs r0, #0\n"
      "ldr r2, =base_panic\n"
      "bx r2\n");
}
