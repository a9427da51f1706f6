/** Windows of outcomes, and what judges by them: breaker, throttle, retry budget. The sources are assembly/resilience/*.ts. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum code {
  ARGUMENT = 203,
  POOL_FULL = 202,
  BREAKER_OPEN = 700,
  RETRIES_EXHAUSTED = 701,
  RATE_LIMITED = 702,
  BULKHEAD_FULL = 705,
  RETRY_BUDGET = 707,
  THROTTLED = 708,
  NO_FALLBACK = 710,
};
#define WINDOW_SLOTS 6
#define WINDOW_CALLS 16

struct by_count {
  uint16_t size;
  uint32_t calls, failures, slow, at;
  uint32_t failure_bits[WINDOW_CALLS / 32 + 1], slow_bits[WINDOW_CALLS / 32 + 1];
};

static void mark(uint32_t* word, uint32_t bit, bool value, bool full, uint32_t* total) {
  if (full && (*word & bit)) *total -= 1;
  if (value) {
    *total += 1;
    *word |= bit;
  } else {
    *word &= ~bit;
  }
}

static void count_record(struct by_count* w, bool failed, bool slow) {
  uint32_t index = w->at;
  bool full = w->calls == w->size;
  if (!full) w->calls += 1;
  mark(&w->failure_bits[index >> 5], 1u << (index & 31), failed, full, &w->failures);
  mark(&w->slow_bits[index >> 5], 1u << (index & 31), slow, full, &w->slow);
  w->at = index + 1 == w->size ? 0 : index + 1;
}

struct slot {
  uint32_t calls, failures, slow;
};
struct by_time {
  uint64_t start_us;
  uint32_t slot_us, calls, failures, slow, at;
  struct slot slots[WINDOW_SLOTS];
};

static void time_init(struct by_time* w, uint32_t span_us, uint64_t now_us) {
  memset(w, 0, sizeof *w);
  w->slot_us = span_us / WINDOW_SLOTS;
  w->start_us = now_us;
}

static void time_roll(struct by_time* w, uint64_t now_us) {
  uint64_t start = w->start_us;
  uint32_t slot_us = w->slot_us;
  if (now_us < start + slot_us) return;
  if (now_us - start >= (uint64_t)slot_us * WINDOW_SLOTS) {
    time_init(w, slot_us * WINDOW_SLOTS, now_us);
    return;
  }
  uint32_t index = w->at;
  while (now_us >= start + slot_us) {
    start += slot_us;
    index = index + 1 == WINDOW_SLOTS ? 0 : index + 1;
    struct slot* slot = &w->slots[index];
    w->calls -= slot->calls;
    w->failures -= slot->failures;
    w->slow -= slot->slow;
    *slot = (struct slot){0, 0, 0};
  }
  w->at = index;
  w->start_us = start;
}

static void time_add(struct by_time* w, uint32_t calls, uint32_t failures, uint32_t slow, uint64_t now_us) {
  time_roll(w, now_us);
  struct slot* slot = &w->slots[w->at];
  slot->calls += calls;
  slot->failures += failures;
  slot->slow += slow;
  w->calls += calls;
  w->failures += failures;
  w->slow += slow;
}

enum breaker_state { CLOSED, OPENED, HALF_OPEN, FORCED_OPEN, DISABLED };
enum outcome { SUCCESS, FAILURE, CANCELLED, IGNORED, TIMEOUT };

struct breaker {
  uint64_t until_us;
  uint32_t open_ms, half_open_ms, slow_us, generation;
  uint8_t state, has_window;
  uint16_t calls_min, permits, successes_min, probes_out, successes;
  uint16_t consecutive_max, consecutive, failure_milli, slow_milli;
  uint32_t granted, returned, refused, opened;
};
/** The window follows, where there is one. */
struct windowed_breaker {
  struct breaker breaker;
  struct by_count window;
};

static void breaker_init(struct breaker* b, uint32_t open_ms, uint32_t half_open_ms) {
  *b = (struct breaker){.open_ms = open_ms, .half_open_ms = half_open_ms, .permits = 2, .successes_min = 3, .consecutive_max = 5};
}
static struct by_count* window_of(struct breaker* b) {
  return &((struct windowed_breaker*)b)->window;
}
static uint64_t later(uint64_t from_us, uint32_t span_ms) {
  uint64_t span_us = (uint64_t)span_ms * 1000;
  return span_us > UINT64_MAX - from_us ? UINT64_MAX : from_us + span_us;
}
static void breaker_enter(struct breaker* b, uint8_t state) {
  b->state = state;
  b->generation = (b->generation + 1) & 0x3fffffff;
  b->probes_out = b->successes = 0;
}
static void breaker_open(struct breaker* b, uint64_t now_us) {
  breaker_enter(b, OPENED);
  b->opened += 1;
  b->until_us = later(now_us, b->open_ms);
}
static uint8_t breaker_expire(struct breaker* b, uint64_t now_us) {
  if (now_us < b->until_us) return HALF_OPEN;
  breaker_open(b, b->until_us);
  return OPENED;
}
static bool breaker_passes(struct breaker* b, uint64_t now_us) {
  uint8_t state = b->state;
  if (state == HALF_OPEN) state = breaker_expire(b, now_us);
  if (state == OPENED && now_us >= b->until_us) {
    breaker_enter(b, HALF_OPEN);
    b->until_us = later(now_us, b->half_open_ms);
    state = HALF_OPEN;
  }
  if (state == DISABLED) return true;
  if (state != HALF_OPEN || b->probes_out >= b->permits) return false;
  b->probes_out += 1;
  return true;
}

static int32_t breaker_acquire(struct breaker* b, uint64_t now_us) {
  if (b->state != CLOSED && !breaker_passes(b, now_us)) {
    b->refused += 1;
    return -BREAKER_OPEN;
  }
  b->granted += 1;
  return (int32_t)(b->generation + 1);
}

static bool reaches(uint32_t part, uint32_t whole, uint32_t milli) {
  return milli != 0 && part * 1000 >= milli * whole;
}
static bool breaker_trips(struct breaker* b) {
  if (b->consecutive_max != 0 && b->consecutive >= b->consecutive_max) return true;
  if (b->calls_min == 0 || !b->has_window) return false;
  struct by_count* w = window_of(b);
  if (w->calls < b->calls_min) return false;
  return reaches(w->failures, w->calls, b->failure_milli) || reaches(w->slow, w->calls, b->slow_milli);
}
static void breaker_judge(struct breaker* b, uint8_t state, bool failed, bool slow, uint64_t now_us) {
  if (state == HALF_OPEN) {
    if (failed || slow) {
      breaker_open(b, now_us);
      return;
    }
    b->successes += 1;
    if (b->successes < b->successes_min) return;
    breaker_enter(b, CLOSED);
    b->consecutive = 0;
    if (b->has_window) memset(&window_of(b)->calls, 0, 16);
    return;
  }
  if (!failed) b->consecutive = 0;
  else if (b->consecutive != UINT16_MAX) b->consecutive += 1;
  if (b->has_window) count_record(window_of(b), failed, slow);
  if (state == CLOSED && (failed || slow) && breaker_trips(b)) breaker_open(b, now_us);
}

static int32_t breaker_return(struct breaker* b, int32_t permit, uint32_t outcome, uint32_t took_us, uint64_t now_us) {
  if (outcome > TIMEOUT || permit <= 0 || b->granted == b->returned) return -ARGUMENT;
  uint8_t state = b->state;
  if (state == HALF_OPEN) state = breaker_expire(b, now_us);
  bool current = permit == (int32_t)(b->generation + 1);
  if (current && state != CLOSED && state != DISABLED) {
    if (b->probes_out == 0) return -ARGUMENT;
    b->probes_out -= 1;
  }
  b->returned += 1;
  if (!current || outcome == CANCELLED || outcome == IGNORED) return state;
  breaker_judge(b, state, outcome != SUCCESS, b->slow_us != 0 && took_us >= b->slow_us, now_us);
  return b->state;
}

struct throttle {
  uint32_t k_milli, refused;
  struct by_time window;
};

static int32_t throttle_admit(struct throttle* t, uint32_t random, uint64_t now_us) {
  time_roll(&t->window, now_us);
  uint32_t requests = t->window.calls, accepts = t->window.failures;
  while (requests > 0xfffff) requests >>= 1, accepts >>= 1;
  uint64_t asked = (uint64_t)requests * 1000, served = (uint64_t)accepts * t->k_milli;
  uint64_t excess = asked > served ? asked - served : 0;
  bool refuses = (uint64_t)random * 1000 * (requests + 1) < excess << 32;
  if (!refuses) return 0;
  time_add(&t->window, 1, 0, 0, now_us);
  t->refused += 1;
  return -THROTTLED;
}

struct budget {
  uint32_t share_milli, reserve, refused;
  struct by_time window;
};

static int32_t budget_retry(struct budget* b, uint64_t now_us) {
  time_roll(&b->window, now_us);
  uint64_t earned = (uint64_t)b->window.calls * b->share_milli / 1000 + b->reserve;
  if (earned <= b->window.failures) {
    b->refused += 1;
    return -RETRY_BUDGET;
  }
  time_add(&b->window, 0, 1, 0, now_us);
  return 0;
}
