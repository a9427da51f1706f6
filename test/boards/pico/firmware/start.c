/* Start-up of the test firmware: memory, clocks as the datasheet orders them, interrupts, UARTs, flash. */
#include "lab.h"

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
int main(void);

volatile uint32_t kept[256] __attribute__((section(".kept")));
handler *volatile interrupt_handlers[IRQS];
handler *volatile hard_fault_handler;

static void forever(void) {
  for (;;) {
  }
}
static void on_hard_fault(void) {
  if (hard_fault_handler) hard_fault_handler();
  forever();
}
static void on_interrupt(void) {
  uint32_t number;
  __asm volatile("mrs %0, ipsr" : "=r"(number));
  interrupt_handlers[number - 16]();
}
static RAM_CODE void on_interrupt_in_ram(void) {
  uint32_t number;
  __asm volatile("mrs %0, ipsr" : "=r"(number));
  interrupt_handlers[number - 16]();
}

static void start_clocks(void) {
  REG(XOSC + 0x0c) = 47; /* 1 ms */
  REG(XOSC) = 0xaa0;
  SET(XOSC) = 0xfab000;
  while (!(REG(XOSC + 4) & 0x80000000u)) {
  }
  REG(CLOCKS + 0x30) = 2; /* clk_ref from the crystal */
  while (REG(CLOCKS + 0x38) != 4) {
  }
  CLEAR(RESETS) = 1u << 12; /* PLL_SYS */
  while (!(REG(RESETS + 8) & (1u << 12))) {
  }
  REG(PLL_SYS + 8) = 125;
  CLEAR(PLL_SYS + 4) = (1u << 0) | (1u << 5);
  while (!(REG(PLL_SYS) & 0x80000000u)) {
  }
  REG(PLL_SYS + 0xc) = (6u << 16) | (2u << 12);
  CLEAR(PLL_SYS + 4) = 1u << 3;
  REG(CLOCKS + 0x3c) = 1; /* clk_sys from PLL_SYS: AUXSRC 0, then SRC */
  while (REG(CLOCKS + 0x44) != 2) {
  }
  REG(CLOCKS + 0x48) = 1u << 11; /* clk_peri from clk_sys */
  REG(WATCHDOG + 0x2c) = (1u << 9) | 12; /* a tick a microsecond */
}

void reset_handler(void) {
  for (uint32_t *from = data_load, *to = data_start; to < data_end;) *to++ = *from++;
  for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
  start_clocks();
  /* IO_BANK0, PADS_BANK0, TIMER, UART0, UART1, PWM, ADC */
  const uint32_t blocks = (1u << 5) | (1u << 8) | (1u << 21) | (1u << 22) | (1u << 23) | (1u << 14) | 1u;
  CLEAR(RESETS) = blocks;
  while ((REG(RESETS + 8) & blocks) != blocks) {
  }
  main();
  forever();
}

#define FOUR(h) h, h, h, h
#define VECTORS(h) \
  {(void *)stack_top, reset_handler, forever, on_hard_fault, 0, 0, 0, 0, 0, 0, 0, forever, 0, 0, forever, forever, \
   FOUR(h), FOUR(h), FOUR(h), FOUR(h), FOUR(h), FOUR(h), h, h}
__attribute__((section(".vectors"), used)) const void *const vectors[16 + IRQS] = VECTORS(on_interrupt);
__attribute__((section(".ram_vectors"), used)) const void *volatile ram_vectors[16 + IRQS] = VECTORS(on_interrupt_in_ram);

void vectors_to_ram(void) { REG(VTOR) = (uint32_t)ram_vectors; }
void wait_for_interrupt(void) { __asm volatile("wfi" ::: "memory"); }
void enable_interrupt(int number, handler *call) {
  interrupt_handlers[number] = call;
  REG(NVIC_ISER) = 1u << number;
}
uint32_t now_us(void) { return REG(TIMER + 0x28); }
void alarm_at(uint32_t us) {
  REG(TIMER + 0x38) = 1;
  REG(TIMER + 0x10) = us;
}

void uart_open(uint32_t uart, int transmit_pin, int baud) {
  uint32_t divisor = 125000000u * 4 / (uint32_t)baud;
  REG(uart + 0x24) = divisor >> 6;
  REG(uart + 0x28) = divisor & 63;
  REG(uart + 0x2c) = 0x70; /* 8N1, FIFOs */
  REG(uart + 0x30) = 0x301;
  REG(IO_BANK0 + 8 * transmit_pin + 4) = 2;
  REG(IO_BANK0 + 8 * transmit_pin + 12) = 2;
}
void uart_put(uint32_t uart, uint8_t byte) {
  while (REG(uart + 0x18) & 0x20) {
  }
  REG(uart) = byte;
}

typedef void *lookup_call(uint16_t *table, uint32_t code);
void *rom_function(char first, char second) {
  lookup_call *lookup = (lookup_call *)(uintptr_t)*(volatile uint16_t *)0x18;
  return lookup((uint16_t *)(uintptr_t)*(volatile uint16_t *)0x14, (uint32_t)first | (uint32_t)second << 8);
}

/* All in RAM: nothing may come from flash between exit and enter. */
static RAM_CODE void flash_do(flash_call *const calls[4], flash_erase_call *erase, flash_program_call *program,
                              uint32_t offset, const uint8_t *data, uint32_t count) {
  calls[0]();
  calls[1]();
  if (erase) erase(offset, count, 1u << 16, 0xd8);
  if (program) program(offset, data, count);
  calls[2]();
  calls[3]();
}
static void flash_change(flash_erase_call *erase, flash_program_call *program, uint32_t offset, const uint8_t *data,
                         uint32_t count) {
  flash_call *const calls[4] = {rom_function('I', 'F'), rom_function('E', 'X'), rom_function('F', 'C'),
                                rom_function('C', 'X')};
  flash_do(calls, erase, program, offset, data, count);
}
void flash_erase(uint32_t offset, uint32_t count) {
  flash_change(rom_function('R', 'E'), 0, offset, 0, count);
}
void flash_program(uint32_t offset, const uint8_t *data, uint32_t count) {
  flash_change(0, rom_function('R', 'P'), offset, data, count);
}
