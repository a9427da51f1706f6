/* What firmware may do only once, by number from 100 on: a strict board stops each. */
#include "lab.h"

static volatile uint32_t word;
static void (*const arm_state)(void) = (void (*)(void))0x10000100;

static void count_hard_fault(void) {
  kept[10]++;
  for (;;) wait_for_interrupt();
}
static void enter_command_mode(void) {
  ((flash_call *)rom_function('I', 'F'))();
  ((flash_call *)rom_function('E', 'X'))();
}
static RAM_CODE void erase_in_ram(flash_call *connect, flash_call *leave, flash_erase_call *erase) {
  connect();
  leave();
  erase(0x80100, 4096, 1u << 16, 0xd8);
}
static RAM_CODE void stale_in_ram(flash_call *const calls[3], flash_erase_call *erase) {
  calls[0]();
  calls[1]();
  erase(0x80000, 4096, 1u << 16, 0xd8);
  calls[2]();
}

void run_fault(uint32_t number) {
  hard_fault_handler = count_hard_fault;
  switch (number) {
    case 100: REG(0x10080000) = 1; break;
    case 101: REG(0x00000004) = 1; break;
    case 102: word = REG(0x30000000); break;
    case 103: REG(0x20042000) = 1; break;
    case 104: __asm volatile("ldr r0, [%0]" ::"r"((uintptr_t)&word + 2) : "r0"); break;
    case 105: __asm volatile("strh %0, [%0]" ::"r"((uintptr_t)&word + 1) : "memory"); break;
    case 106: REG(0x40048000) = 1; break; /* I2C1, still in reset */
    case 107: word = REG(WATCHDOG + 0x40); break; /* no such register */
    case 108: enter_command_mode(); break;
    case 109: __asm volatile(".hword 0xb100"); break; /* CBZ: not on a Cortex-M0+ */
    case 110: __asm volatile("bkpt #9"); break;
    case 111: arm_state(); break;
    case 112: ((void (*)(void))0x40000001)(); break;
    case 113: REG(CLOCKS + 0x3c) = 1u << 5 | 1; break; /* AUXSRC changed in use */
    case 114:
      REG(CLOCKS + 0x3c) = 0;
      REG(CLOCKS + 0x3c) = 1u << 5;
      REG(CLOCKS + 0x3c) = 1u << 5 | 1; /* PLL_USB does not run */
      break;
    case 115:
      uart_open(UART0, 0, 115200);
      REG(IO_BANK0 + 4) = 31;
      uart_put(UART0, 'x');
      break;
    case 116: REG(ADC) = 5; break; /* clk_adc is off */
    case 117: erase_in_ram(rom_function('I', 'F'), rom_function('E', 'X'), rom_function('R', 'E')); break;
    case 118: ((flash_erase_call *)rom_function('R', 'E'))(0x80000, 4096, 1u << 16, 0xd8); break;
    case 119: {
      flash_call *const calls[3] = {rom_function('I', 'F'), rom_function('E', 'X'), rom_function('C', 'X')};
      stale_in_ram(calls, rom_function('R', 'E'));
      break;
    }
    case 120: word = REG(0x10200000); break; /* flash ends at 2 MB */
    case 121: __asm volatile("udf #1"); break;
    case 122: REG(PWM) = 0x10; break; /* counts an input */
    case 123: /* the stack leaves RAM */
      __asm volatile("mov sp, %0\n push {r0-r3}" ::"r"(0x20000008));
      break;
    case 124: REG(SIO + 0x54) = 1; break; /* mailbox to the other core */
    case 125: REG(UART0 + 0x48) = 1; break; /* DMA */
    default: break;
  }
}
