/** Clock, sleep, watchdog, reset, randomness. */
#include "board.h"

#include "../common/port.h"
#include "registers.h"

/** A callback of an app may take so long; the counter goes down by two each microsecond (erratum RP2040-E1). */
#define WATCHDOG_US 4000000u
#define WATCHDOG_RELOAD (2 * WATCHDOG_US)
/** The longest sleep. */
#define SLEEP_MAX_US (WATCHDOG_US / 3)
/** Scratch 0 carries the reason over a reset that the base asked for. */
#define REASON_MAGIC 0x52530000u

const char port_board_name[] = "pico";
uint32_t port_panic_notes[4] __attribute__((section(".noinit")));

static uint32_t reason;
static volatile bool signalled;

void board_note_reset(void) {
  uint32_t how = REGISTER(WATCHDOG_REASON);
  uint32_t note = REGISTER(WATCHDOG_SCRATCH0);
  if ((note & 0xffff0000u) == REASON_MAGIC) reason = note & 0xffu;
  else if (how & 1) reason = 2;
  else if (how & 2) reason = 1;
  else reason = 0;
  REGISTER(WATCHDOG_SCRATCH0) = 0;
}

void board_start(void) {
  REGISTER(PSM_WDSEL) = PSM_WDSEL_ALL;
  REGISTER(WATCHDOG_LOAD) = WATCHDOG_RELOAD;
  REGISTER(WATCHDOG_CTRL) = 1u << 30;
  REGISTER(TIMER_INTE) = 1;
  REGISTER(NVIC_ISER) = 1u << IRQ_TIMER_0;
}

uint64_t port_now_us(void) {
  for (;;) {
    uint32_t high = REGISTER(TIMER_RAW_HIGH);
    uint32_t low = REGISTER(TIMER_RAW_LOW);
    if (REGISTER(TIMER_RAW_HIGH) == high) return (uint64_t)high << 32 | low;
  }
}

void timer_interrupt(void);
void timer_interrupt(void) {
  REGISTER(TIMER_INTR) = 1;
  signalled = true;
}
void port_signal(void) {
  signalled = true;
}

/** Interrupts are masked between the look and the sleep: one that comes meanwhile is pending, and WFI returns at once. */
void port_wait(uint64_t deadline_us) {
  REGISTER(WATCHDOG_LOAD) = WATCHDOG_RELOAD;
  uint64_t now = port_now_us();
  if (deadline_us > now + SLEEP_MAX_US) deadline_us = now + SLEEP_MAX_US;
  if (deadline_us > now) {
    REGISTER(TIMER_ALARM0) = (uint32_t)deadline_us;
    for (;;) {
      __asm__ volatile("cpsid i" ::: "memory");
      /* The alarm compares for equality: one that was set too late would come in an hour. */
      if (signalled || port_now_us() >= deadline_us) break;
      __asm__ volatile("wfi\n cpsie i" ::: "memory");
    }
    REGISTER(TIMER_ARMED) = 1;
  }
  signalled = false;
  __asm__ volatile("cpsie i" ::: "memory");
}

uint32_t port_random(void) {
  uint32_t bits = 0;
  for (int bit = 0; bit < 32; bit += 1) bits = bits << 1 | (REGISTER(ROSC_RANDOMBIT) & 1);
  return bits;
}
uint32_t port_reset_reason(void) {
  return reason;
}
_Noreturn void port_restart(uint32_t why) {
  REGISTER(WATCHDOG_SCRATCH0) = REASON_MAGIC | why;
  SET_BITS(WATCHDOG_CTRL) = 1u << 31;
  for (;;) continue;
}
