/** Waits, latencies, timers, bulkheads and adaptive concurrency. The sources are assembly/resilience/*.ts. */
#pragma once
#include "outcomes.h"

#define TIMERS 8
#define PLACES 4

struct retry {
  uint32_t base_us, cap_us, attempts_max;
  uint16_t backoff, jitter;
  uint32_t last_us;
};
enum { EXPONENTIAL, CONSTANT, LINEAR, FIBONACCI };
enum { NO_JITTER, FULL_JITTER, EQUAL_JITTER, DECORRELATED };

static uint32_t scale(uint32_t span, uint32_t random) {
  return (uint64_t)span * random >> 32;
}
static uint32_t capped(uint64_t wait, uint32_t cap) {
  return wait > cap ? cap : (uint32_t)wait;
}
static uint32_t wait_of(const struct retry* r, uint32_t failures) {
  uint32_t steps = failures == 0 ? 1 : failures;
  switch (r->backoff) {
    case CONSTANT: return r->base_us;
    case LINEAR: return capped((uint64_t)r->base_us * steps, r->cap_us);
    case FIBONACCI: {
      uint64_t before = 0, wait = r->base_us;
      for (uint32_t step = 1; step < steps && wait < r->cap_us; step += 1) {
        uint64_t next = before + wait;
        before = wait;
        wait = next;
      }
      return capped(wait, r->cap_us);
    }
    default: return steps > 32 ? r->cap_us : capped((uint64_t)r->base_us << (steps - 1), r->cap_us);
  }
}

static int64_t retry_next(struct retry* r, uint32_t failures, uint32_t random) {
  if (r->attempts_max != 0 && failures >= r->attempts_max) return -RETRIES_EXHAUSTED;
  uint32_t wait;
  if (r->jitter == DECORRELATED) {
    uint64_t span = (uint64_t)(failures <= 1 ? r->base_us : r->last_us) * 3;
    span = span > r->base_us ? span - r->base_us : 0;
    wait = capped(r->base_us + (span >> 32) * random + ((span & UINT32_MAX) * random >> 32), r->cap_us);
  } else {
    wait = wait_of(r, failures);
    if (r->jitter == FULL_JITTER) wait = scale(wait, random);
    else if (r->jitter == EQUAL_JITTER) wait = (wait >> 1) + scale(wait - (wait >> 1), random);
  }
  r->last_us = wait;
  return wait;
}

struct latency {
  uint64_t estimate;
  uint32_t count, q;
};

static void latency_record(struct latency* l, uint32_t took_us) {
  uint32_t count = l->count;
  uint64_t sample = (uint64_t)took_us << 8, estimate = l->estimate;
  if (count != UINT32_MAX) l->count = count + 1;
  if (count == 0) {
    l->estimate = sample;
    return;
  }
  int bits = 10 + (count < 16 ? 2 : 5);
  if (sample > estimate) {
    uint64_t step = estimate * l->q >> bits;
    estimate += step > 1 ? step : 1;
    l->estimate = estimate < sample ? estimate : sample;
  } else if (sample < estimate) {
    uint64_t step = estimate * (1024 - l->q) >> bits;
    if (step < 1) step = 1;
    estimate = step > estimate ? 0 : estimate - step;
    l->estimate = estimate > sample ? estimate : sample;
  }
}
static uint32_t latency_us(const struct latency* l) {
  return l->count < 16 ? 0 : capped(l->estimate >> 8, UINT32_MAX);
}

#define LEVELS 5
#define SLOT_DUE 160
#define SLOT_FREE 0xffff
#define REACH_TICKS ((31u << 20) - 1)

struct timer {
  uint32_t next, previous;
  uint64_t tick;
  uint32_t tag;
  uint16_t slot, generation;
};
struct wheel {
  uint32_t capacity, free;
  uint64_t tick;
  uint32_t used, due, bitmaps[LEVELS], heads[LEVELS * 32];
  struct timer timers[TIMERS];
};

static void wheel_init(struct wheel* w, uint64_t now_us) {
  memset(w, 0, sizeof *w);
  w->capacity = TIMERS;
  w->tick = now_us >> 10;
  for (uint32_t link = TIMERS; link > 0; link -= 1) {
    w->timers[link - 1].slot = SLOT_FREE;
    w->timers[link - 1].next = w->free;
    w->free = link;
  }
}
static uint32_t* head_of(struct wheel* w, uint32_t slot) {
  return slot == SLOT_DUE ? &w->due : &w->heads[slot];
}
static void wheel_push(struct wheel* w, uint32_t link, uint32_t slot) {
  struct timer* timer = &w->timers[link - 1];
  uint32_t* head = head_of(w, slot);
  timer->next = *head;
  timer->previous = 0;
  timer->slot = slot;
  if (*head != 0) w->timers[*head - 1].previous = link;
  *head = link;
}
static void wheel_unlink(struct wheel* w, struct timer* timer) {
  if (timer->next != 0) w->timers[timer->next - 1].previous = timer->previous;
  if (timer->previous != 0) {
    w->timers[timer->previous - 1].next = timer->next;
    return;
  }
  *head_of(w, timer->slot) = timer->next;
  if (timer->next == 0 && timer->slot != SLOT_DUE) w->bitmaps[timer->slot >> 5] &= ~(1u << (timer->slot & 31));
}
static void wheel_release(struct wheel* w, uint32_t link) {
  struct timer* timer = &w->timers[link - 1];
  timer->slot = SLOT_FREE;
  timer->next = w->free;
  w->free = link;
  w->used -= 1;
}
static void wheel_place(struct wheel* w, uint32_t link, uint64_t tick) {
  if (tick <= w->tick) {
    wheel_push(w, link, SLOT_DUE);
    return;
  }
  uint64_t within = tick < w->tick + REACH_TICKS ? tick : w->tick + REACH_TICKS;
  uint64_t differs = within ^ w->tick;
  uint32_t level = 0;
  while (level < LEVELS - 1 && differs >> (level + 1) * 5 != 0) level += 1;
  uint32_t digit = within >> level * 5 & 31;
  wheel_push(w, link, level * 32 + digit);
  w->bitmaps[level] |= 1u << digit;
}

static int32_t wheel_add(struct wheel* w, uint64_t deadline_us, uint32_t tag) {
  uint32_t link = w->free;
  if (link == 0) return -POOL_FULL;
  struct timer* timer = &w->timers[link - 1];
  w->free = timer->next;
  w->used += 1;
  timer->tick = (deadline_us >> 10) + ((deadline_us & 1023) != 0);
  timer->tag = tag;
  timer->generation = (timer->generation + 1) & 0x7ff;
  wheel_place(w, link, timer->tick);
  return (int32_t)((uint32_t)timer->generation << 20 | link);
}
static int32_t wheel_cancel(struct wheel* w, uint32_t handle) {
  uint32_t link = handle & 0xfffff;
  if (link == 0 || link > w->capacity) return -ARGUMENT;
  struct timer* timer = &w->timers[link - 1];
  if (timer->generation != handle >> 20 || timer->slot == SLOT_FREE) return -ARGUMENT;
  wheel_unlink(w, timer);
  wheel_release(w, link);
  return 0;
}
static uint64_t next_tick(const struct wheel* w) {
  for (uint32_t level = 0; level < LEVELS; level += 1) {
    uint32_t bitmap = w->bitmaps[level];
    if (bitmap == 0) continue;
    uint64_t turned = w->tick >> level * 5;
    uint32_t digit = turned & 31;
    uint32_t rotated = digit == 0 ? bitmap : bitmap >> digit | bitmap << (32 - digit);
    return (turned + (uint32_t)__builtin_ctz(rotated)) << level * 5;
  }
  return UINT64_MAX;
}
static void wheel_turn(struct wheel* w) {
  for (uint32_t level = LEVELS; level > 0; level -= 1) {
    uint32_t digit = w->tick >> (level - 1) * 5 & 31, bit = 1u << digit;
    if (!(w->bitmaps[level - 1] & bit)) continue;
    w->bitmaps[level - 1] &= ~bit;
    uint32_t* head = &w->heads[(level - 1) * 32 + digit];
    uint32_t link = *head;
    *head = 0;
    while (link != 0) {
      uint32_t next = w->timers[link - 1].next;
      wheel_place(w, link, w->timers[link - 1].tick);
      link = next;
    }
  }
}
static int64_t wheel_pop(struct wheel* w, uint64_t now_us) {
  uint64_t now_tick = now_us >> 10;
  for (;;) {
    uint32_t due = w->due;
    if (due != 0) {
      wheel_unlink(w, &w->timers[due - 1]);
      wheel_release(w, due);
      return w->timers[due - 1].tag;
    }
    uint64_t next = next_tick(w);
    if (next > now_tick) {
      if (now_tick > w->tick) w->tick = now_tick;
      return -1;
    }
    if (next > w->tick) w->tick = next;
    wheel_turn(w);
  }
}

#define PRIORITIES 4
#define PRIORITY_FREE 0xffff

struct place {
  uint32_t next, previous, ticket;
  uint16_t priority, generation;
};
struct bulkhead {
  uint32_t limit, in_flight, queue_max, queued, free, granted, refused, shed;
  uint32_t first[PRIORITIES], last[PRIORITIES];
  uint16_t shares[PRIORITIES];
  uint32_t shed_ticket;
  struct place places[PLACES];
};

static void bulkhead_init(struct bulkhead* b, uint32_t limit) {
  memset(b, 0, sizeof *b);
  b->limit = limit;
  b->queue_max = PLACES;
  for (int priority = 0; priority < PRIORITIES; priority += 1) b->shares[priority] = 1000;
  for (uint32_t link = PLACES; link > 0; link -= 1) {
    b->places[link - 1].priority = PRIORITY_FREE;
    b->places[link - 1].next = b->free;
    b->free = link;
  }
}
static bool has_room(const struct bulkhead* b, uint32_t priority) {
  if (b->in_flight >= b->limit) return false;
  uint32_t share = b->shares[priority];
  return share == 1000 || (uint64_t)b->in_flight * 1000 < (uint64_t)b->limit * share;
}
static bool is_awaited(const struct bulkhead* b, uint32_t priority) {
  if (b->queued == 0) return false;
  for (uint32_t above = 0; above <= priority; above += 1)
    if (b->first[above] != 0) return true;
  return false;
}
static int32_t bulkhead_refuse(struct bulkhead* b) {
  b->refused += 1;
  return -BULKHEAD_FULL;
}
static void bulkhead_remove(struct bulkhead* b, uint32_t link) {
  struct place* place = &b->places[link - 1];
  if (place->previous == 0) b->first[place->priority] = place->next;
  else b->places[place->previous - 1].next = place->next;
  if (place->next == 0) b->last[place->priority] = place->previous;
  else b->places[place->next - 1].previous = place->previous;
  place->priority = PRIORITY_FREE;
  place->next = b->free;
  b->free = link;
  b->queued -= 1;
}
static bool shed_below(struct bulkhead* b, uint32_t priority) {
  for (uint32_t below = PRIORITIES - 1; below > priority; below -= 1) {
    uint32_t link = b->last[below];
    if (link == 0) continue;
    b->shed_ticket = b->places[link - 1].ticket;
    b->shed += 1;
    bulkhead_remove(b, link);
    return true;
  }
  return false;
}

static int32_t bulkhead_try(struct bulkhead* b, uint32_t priority) {
  if (priority >= PRIORITIES) return -ARGUMENT;
  if (!has_room(b, priority) || is_awaited(b, priority)) return bulkhead_refuse(b);
  b->in_flight += 1;
  b->granted += 1;
  return 0;
}
static int32_t bulkhead_enter(struct bulkhead* b, uint32_t priority, uint32_t ticket) {
  if (priority >= PRIORITIES || ticket == 0) return -ARGUMENT;
  if (has_room(b, priority) && !is_awaited(b, priority)) {
    b->in_flight += 1;
    b->granted += 1;
    return 0;
  }
  if (b->free == 0 && !shed_below(b, priority)) return bulkhead_refuse(b);
  uint32_t link = b->free;
  struct place* place = &b->places[link - 1];
  b->free = place->next;
  place->generation = (place->generation + 1) & 0x7fff;
  place->ticket = ticket;
  place->priority = priority;
  place->next = 0;
  place->previous = b->last[priority];
  if (place->previous == 0) b->first[priority] = link;
  else b->places[place->previous - 1].next = link;
  b->last[priority] = link;
  b->queued += 1;
  return (int32_t)((uint32_t)place->generation << 16 | link);
}
static int32_t bulkhead_leave(struct bulkhead* b) {
  if (b->in_flight == 0) return -ARGUMENT;
  b->in_flight -= 1;
  return 0;
}
static uint32_t bulkhead_next(struct bulkhead* b) {
  for (uint32_t priority = 0; priority < PRIORITIES; priority += 1) {
    uint32_t link = b->first[priority];
    if (link == 0 || !has_room(b, priority)) continue;
    bulkhead_remove(b, link);
    b->in_flight += 1;
    b->granted += 1;
    return b->places[link - 1].ticket;
  }
  return 0;
}

struct last_good {
  uint64_t stored_us, age_max_us;
  uint32_t has;
};

static int32_t last_good_check(const struct last_good* l, uint64_t now_us) {
  if (!l->has) return -NO_FALLBACK;
  uint64_t age = now_us > l->stored_us ? now_us - l->stored_us : 0;
  return age <= l->age_max_us ? 0 : -NO_FALLBACK;
}
