/* Experiments that the tests choose by a word in flash; what they find they leave in `kept`. */
#include "lab.h"

__attribute__((section(".choice"), used)) const volatile uint32_t choice[4] = {0xffffffff, 0, 0, 0};
#define SECTOR 0x80000u
#define FLASH(offset) (*(const volatile uint32_t *)(0x10000000u + (offset)))

/* 0: each UART echoes, with its case turned, by interrupts. The ring is larger than what the test sends at once. */
static volatile uint8_t ring[2][4096];
static volatile uint32_t head[2], tail[2];
static void pump(int index) {
  const uint32_t uart = index ? UART1 : UART0;
  while (!(REG(uart + 0x18) & 0x10)) {
    const uint32_t data = REG(uart);
    if (data & 0x800) kept[2 + index]++;
    ring[index][head[index]++ % 4096] = (uint8_t)(data ^ 0x20);
  }
  while (tail[index] != head[index] && !(REG(uart + 0x18) & 0x20)) REG(uart) = ring[index][tail[index]++ % 4096];
  REG(uart + 0x44) = 0x50;
}
static void pump0(void) { pump(0); }
static void pump1(void) { pump(1); }
static void echo(void) {
  kept[2] = kept[3] = 0;
  uart_open(UART0, 0, 115200);
  uart_open(UART1, 4, 57600);
  enable_interrupt(IRQ_UART0, pump0);
  enable_interrupt(IRQ_UART1, pump1);
  REG(UART0 + 0x38) = REG(UART1 + 0x38) = 0x70;
  for (;;) wait_for_interrupt();
}

/* 1: an alarm a second; WFI between, entered with interrupts masked, as a sleep without a race is. */
static volatile uint32_t next_us;
static void on_alarm(void) {
  REG(TIMER + 0x34) = 1;
  kept[1]++;
  kept[2] = now_us() - next_us;
  next_us += 1000000;
  alarm_at(next_us);
}
static void sleep(void) {
  kept[1] = kept[3] = 0;
  next_us = now_us() + 1000000;
  enable_interrupt(IRQ_TIMER0, on_alarm);
  alarm_at(next_us);
  for (;;) {
    const uint32_t seen = kept[1];
    __asm volatile("cpsid i");
    wait_for_interrupt();
    if (kept[1] != seen) kept[3]++; /* a handler ran although masked */
    __asm volatile("cpsie i");
  }
}

/* 2: pin 2 is an output that follows pin 3, by interrupt; pin 15 has a pull-up; pin 6 gives PWM. */
static void on_pins(void) {
  const uint32_t in = REG(SIO + 4) >> 3 & 1;
  REG(IO_BANK0 + 0xf0) = 0xcu << 12; /* both edges of pin 3 */
  REG(SIO + (in ? 0x14 : 0x18)) = 1u << 2;
  kept[1]++;
  kept[2] = REG(SIO + 4) >> 2 & 1; /* the output reads back */
}
static void pins(void) {
  kept[1] = kept[2] = 0;
  REG(IO_BANK0 + 8 * 2 + 4) = 5;
  REG(IO_BANK0 + 8 * 3 + 4) = 5;
  REG(IO_BANK0 + 8 * 15 + 4) = 5;
  REG(SIO + 0x24) = 1u << 2;
  REG(PADS_BANK0 + 4 + 4 * 15) = 0x4a;
  REG(IO_BANK0 + 8 * 6 + 4) = 4;
  REG(PWM + 3 * 0x14 + 4) = 1250u << 0 & 0xfff;
  REG(PWM + 3 * 0x14 + 0x10) = 999;
  REG(PWM + 3 * 0x14 + 0xc) = 250;
  REG(PWM + 3 * 0x14) = 1;
  REG(IO_BANK0 + 0x100) = 0xcu << 12;
  enable_interrupt(IRQ_IO_BANK0, on_pins);
  kept[3] = REG(SIO + 4) >> 15 & 1;
  for (;;) wait_for_interrupt();
}

/* 3: the ADC, each channel once, then again every 10 ms; clk_adc from the crystal. */
static void no_work(void) { REG(TIMER + 0x34) = 1; }
static void convert(void) {
  REG(CLOCKS + 0x60) = (1u << 11) | (3u << 5);
  REG(ADC) = 1;
  enable_interrupt(IRQ_TIMER0, no_work);
  for (;;) {
    for (uint32_t channel = 0; channel < 5; channel++) {
      const uint32_t started = now_us();
      REG(ADC) = 1 | channel << 12 | 4;
      while (!(REG(ADC) & 0x100)) {
      }
      kept[1 + channel] = REG(ADC + 4) | (REG(ADC) & 0x200) << 16;
      kept[8] = now_us() - started;
    }
    alarm_at(now_us() + 10000);
    wait_for_interrupt();
  }
}

/* 4: counts its boots in flash, a page each, and erases two sectors when they are full. */
static uint8_t page[256];
static void count_boots(void) {
  uint32_t used = 0;
  while (used < 32 && FLASH(SECTOR + 256 * used) != 0xffffffffu) used++;
  kept[1] = used;
  if (used == 32) {
    flash_erase(SECTOR, 8192);
    used = 0;
  }
  for (uint32_t at = 0; at < 256; at++) page[at] = (uint8_t)(at + used);
  flash_program(SECTOR + 256 * used, page, 256);
  kept[2] = FLASH(SECTOR + 256 * used + 4);
}

/* 5: programs the same page twice without an erase; then 64 KB in one erase. */
static void program_twice(void) {
  flash_erase(SECTOR, 4096);
  for (uint32_t at = 0; at < 256; at++) page[at] = 0x3c;
  flash_program(SECTOR, page, 256);
  for (uint32_t at = 0; at < 256; at++) page[at] = 0x5a;
  flash_program(SECTOR, page, 256);
  kept[1] = FLASH(SECTOR);
  const uint32_t started = now_us();
  flash_erase(SECTOR, 0x11000);
  kept[2] = now_us() - started;
  kept[3] = FLASH(SECTOR);
}

/* 6: an alarm comes every 10 ms while a sector is erased. choice[1]: 0 handled in RAM, 1 masked, 2 handled in flash. */
static RAM_CODE void on_alarm_in_ram(void) {
  REG(TIMER + 0x34) = 1;
  kept[1]++;
  REG(TIMER + 0x10) = REG(TIMER + 0x28) + 10000;
}
static void erase_with_alarms(void) {
  kept[1] = 0;
  if (choice[1] != 2) vectors_to_ram();
  enable_interrupt(IRQ_TIMER0, choice[1] == 2 ? on_alarm : on_alarm_in_ram);
  alarm_at(now_us() + 10000);
  if (choice[1] == 1) __asm volatile("cpsid i");
  flash_erase(SECTOR, 4096);
  kept[2] = kept[1];
  __asm volatile("cpsie i");
  for (volatile int i = 0; i < 10; i++) {
  }
  kept[3] = kept[1];
}

/* 7: why it started, and ways to start again by choice[1]: watchdog, trigger, SYSRESETREQ, fed watchdog. */
static void restart(void) {
  const uint32_t boots = REG(WATCHDOG + 0x0c);
  kept[1] = REG(WATCHDOG + 8);
  kept[2] = boots;
  kept[3] = REG(CHIP_RESET);
  kept[4] = kept[5] == 0x600dcafe;
  kept[5] = 0x600dcafe;
  REG(WATCHDOG + 0x0c) = boots + 1;
  if (boots > 0 && choice[1] != 3) return;
  if (choice[2] == 0) REG(PSM + 8) = 0x1fffc; /* all but the oscillators */
  if (choice[1] == 0 || choice[1] == 3) {
    REG(WATCHDOG + 4) = 2 * 50000; /* 50 ms: erratum E1 */
    SET(WATCHDOG) = 1u << 30;
  }
  if (choice[1] == 1) SET(WATCHDOG) = 1u << 31;
  if (choice[1] == 2) REG(AIRCR) = 0x05fa0004;
  for (;;) {
    if (choice[1] == 3 && now_us() < 400000) REG(WATCHDOG + 4) = 2 * 50000;
    kept[6] = now_us();
  }
}

/* 8: random bits, and all that could differ between two runs, summed. */
static void churn(void) {
  uint32_t sum = 1;
  uart_open(UART0, 0, 115200);
  enable_interrupt(IRQ_TIMER0, no_work);
  for (uint32_t round = 0;; round++) {
    for (int i = 0; i < 500; i++) sum = sum * 31 + (REG(ROSC + 0x1c) & 1) + kept[100 + (sum & 63)];
    sum ^= now_us();
    kept[100 + (round & 63)] = sum;
    for (int i = 0; i < 4; i++) uart_put(UART0, (uint8_t)(sum >> (8 * i)));
    alarm_at(now_us() + 700 + (sum & 1023));
    wait_for_interrupt();
  }
}

/* 9: computes without end: what an instruction costs. */
static void compute(void) {
  uint32_t crc = 0;
  for (;;) {
    for (uint32_t at = 0; at < 4096; at++) {
      crc ^= FLASH(at & ~3u) >> 8 * (at & 3) & 0xff;
      for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    kept[1]++;
  }
}

/* 10: reads its UART too late by choice[1] ms. */
static void read_late(void) {
  uart_open(UART0, 0, 115200);
  const uint32_t until = now_us() + choice[1] * 1000;
  while ((int32_t)(until - now_us()) > 0) {
  }
  kept[1] = kept[2] = 0;
  for (;;) {
    if (REG(UART0 + 0x18) & 0x10) continue;
    if (REG(UART0) & 0x800) kept[2]++;
    kept[1]++;
  }
}

/* 11: back to the ROM. */
static void usb_boot(void) {
  void (*call)(uint32_t, uint32_t) = rom_function('U', 'B');
  call(0, 0);
}

/* 12: waits for the transmit interrupt after choice[1] bytes: it comes only when the FIFO drains through its trigger. */
static void on_drained(void) {
  kept[1]++;
  REG(UART0 + 0x38) = 0;
}
static void drain(void) {
  kept[1] = 0;
  uart_open(UART0, 0, 115200);
  REG(UART0 + 0x34) = 0;
  for (uint32_t i = 0; i < choice[1]; i++) uart_put(UART0, 'x');
  enable_interrupt(IRQ_UART0, on_drained);
  REG(UART0 + 0x38) = 0x20;
  for (;;) wait_for_interrupt();
}

/* 13: the sign and overflow of signed 64-bit differences and sums, as compilers take them from SBCS and ADCS. */
static uint32_t difference_flags(int64_t a, int64_t b) {
  uint32_t flags;
  __asm volatile("subs %Q1, %Q1, %Q2\n sbcs %R1, %R2\n mrs %0, apsr" : "=r"(flags), "+l"(a) : "l"(b) : "cc");
  return flags >> 28;
}
static uint32_t sum_flags(int64_t a, int64_t b) {
  uint32_t flags;
  __asm volatile("adds %Q1, %Q1, %Q2\n adcs %R1, %R2\n mrs %0, apsr" : "=r"(flags), "+l"(a) : "l"(b) : "cc");
  return flags >> 28;
}
static void compare(void) {
  static const volatile int64_t values[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
  uint32_t at = 1;
  for (int i = 0; i < 7; i++)
    for (int j = 0; j < 7; j++) {
      kept[at++] = difference_flags(values[i], values[j]);
      kept[at++] = sum_flags(values[i], values[j]);
    }
}

/* 14: a PWM slice wraps every millisecond and interrupts; another counts without. */
static void on_wrap(void) {
  kept[1]++;
  kept[2] = REG(PWM + 0xa4);
  REG(PWM + 0xa4) = 1;
}
static void wrap(void) {
  kept[1] = kept[2] = 0;
  for (int slice = 0; slice < 2; slice++) {
    REG(PWM + slice * 0x14 + 4) = 125 << 4;
    REG(PWM + slice * 0x14 + 0x10) = 999;
    REG(PWM + slice * 0x14 + 0xc) = 500;
  }
  REG(PWM + 0xa8) = 1;
  enable_interrupt(IRQ_PWM, on_wrap);
  REG(PWM + 0xa0) = 3;
  for (;;) {
    wait_for_interrupt();
    kept[3] = REG(PWM + 0x14 + 8);
    kept[4] = REG(PWM + 0xa4);
    /* An output fed by PWM, inverted from 100 wraps on. */
    if (kept[1] == 100) SET(PWM) = 1u << 2;
  }
}

/* 15: UART0 without its FIFOs, by polling; choice[1] bytes, then its block is put into reset and out again. */
static void single(void) {
  uart_open(UART0, 0, 115200);
  REG(UART0 + 0x2c) = 0x60;
  for (uint32_t i = 0; i < choice[1]; i++) {
    while (REG(UART0 + 0x18) & 0x10) {
    }
    uart_put(UART0, (uint8_t)(REG(UART0) + 1));
  }
  while (REG(UART0 + 0x18) & 8) {
  }
  SET(RESETS) = 1u << 22;
  CLEAR(RESETS) = 1u << 22;
  kept[1] = REG(UART0 + 0x30);
  kept[2] = REG(UART0 + 0x24);
  kept[3] = REG(UART0 + 0xfe0);
}

static void on_third(void) {
  REG(TIMER + 0x34) = 8;
  kept[1]++;
}
/* 16: the timer is set to just before its upper word changes; alarm 3 comes after that. */
static void over_the_word(void) {
  REG(TIMER + 4) = 0xffffff00u;
  REG(TIMER) = 6;
  REG(TIMER + 0x38) = 8;
  enable_interrupt(3, on_third);
  REG(TIMER + 0x1c) = 0x100;
  kept[1] = 0;
  while (kept[1] == 0) wait_for_interrupt();
  kept[2] = REG(TIMER + 0x0c);
  kept[3] = REG(TIMER + 0x08);
  kept[4] = REG(TIMER + 0x20);
  REG(TIMER + 0x10) = now_us() - 5; /* gone by: matches in 71 minutes only */
  kept[5] = REG(TIMER + 0x20);
}

/* 17: an interrupt that is pending already when WFI is executed must not be slept through. */
static void pending(void) {
  kept[1] = 0;
  enable_interrupt(IRQ_TIMER0, no_work);
  alarm_at(now_us() + 10);
  __asm volatile("cpsid i");
  for (const uint32_t from = now_us(); now_us() - from < 100;) {
  }
  wait_for_interrupt();
  kept[1] = 1;
  __asm volatile("cpsie i");
}

int main(void) {
  static void (*const experiments[])(void) = {echo,    sleep, pins,    convert,   count_boots, program_twice, erase_with_alarms,
                                              restart, churn, compute, read_late, usb_boot,    drain,   compare,
                                              wrap,  single, over_the_word, pending};
  kept[0]++;
  if (choice[0] < sizeof experiments / sizeof *experiments) experiments[choice[0]]();
  else run_fault(choice[0]);
  kept[255] = 0xd09e;
  for (;;) wait_for_interrupt();
}
