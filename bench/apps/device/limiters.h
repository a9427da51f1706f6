/** Rate limiters. The sources are assembly/resilience/*.ts. */
#pragma once
#include "outcomes.h"

#define LOG_ENTRIES 20

struct bucket {
  uint64_t level, last_us, capacity, full_us;
  uint32_t limit, period_us;
};

static void bucket_init(struct bucket* b, uint32_t limit, uint32_t period_us, uint32_t burst, uint64_t now_us) {
  uint64_t capacity = (uint64_t)burst * period_us;
  *b = (struct bucket){capacity, now_us, capacity, capacity / limit + 1, limit, period_us};
}

static uint64_t level_at(const struct bucket* b, uint64_t now_us) {
  if (now_us <= b->last_us) return b->level;
  uint64_t elapsed = now_us - b->last_us;
  if (elapsed >= b->full_us) return b->capacity;
  uint64_t refill = elapsed * b->limit;
  return refill >= b->capacity - b->level ? b->capacity : b->level + refill;
}

static int32_t bucket_take(struct bucket* b, uint32_t tokens, uint64_t now_us) {
  uint64_t cost = (uint64_t)tokens * b->period_us;
  if (cost > b->capacity) return -ARGUMENT;
  uint64_t level = level_at(b, now_us);
  if (now_us > b->last_us) b->last_us = now_us;
  if (cost > level) {
    b->level = level;
    return -RATE_LIMITED;
  }
  b->level = level - cost;
  return 0;
}

struct gcra {
  uint64_t tat_us, step_us, span_us;
  uint32_t tat_part, step_part, span_part, limit, period_us;
};

static void gcra_init(struct gcra* g, uint32_t limit, uint32_t period_us, uint32_t burst) {
  uint64_t span = (uint64_t)burst * period_us;
  *g = (struct gcra){.step_us = period_us / limit,
                     .span_us = span / limit,
                     .step_part = period_us % limit,
                     .span_part = span % limit,
                     .limit = limit,
                     .period_us = period_us};
}

static int32_t gcra_take(struct gcra* g, uint32_t tokens, uint64_t now_us) {
  if (now_us > INT64_MAX) return -ARGUMENT;
  if (tokens == 0) return 0;
  uint64_t next_us = g->tat_us, step_us = g->step_us;
  uint32_t next_part = g->tat_part, step_part = g->step_part;
  if (next_us < now_us) next_us = now_us, next_part = 0;
  uint64_t whole = 0;
  if (tokens != 1) {
    whole = (uint64_t)tokens * g->period_us;
    step_us = whole / g->limit;
    step_part = whole % g->limit;
  }
  next_us += step_us;
  uint64_t part = (uint64_t)next_part + step_part;
  if (part >= g->limit) {
    part -= g->limit;
    next_us += 1;
  }
  uint64_t edge_us = now_us + g->span_us;
  if (next_us > edge_us || (next_us == edge_us && part > g->span_part)) {
    bool fits = tokens == 1 || step_us < g->span_us || (step_us == g->span_us && step_part <= g->span_part);
    return fits ? -RATE_LIMITED : -ARGUMENT;
  }
  g->tat_us = next_us;
  g->tat_part = (uint32_t)part;
  return 0;
}

struct window {
  uint64_t start_us;
  uint32_t limit, period_us, count, before;
};

static void window_roll(struct window* w, uint64_t now_us) {
  if (now_us < w->start_us) return;
  uint64_t elapsed = now_us - w->start_us;
  if (elapsed < w->period_us) return;
  bool next = elapsed < (uint64_t)w->period_us * 2;
  w->before = next ? w->count : 0;
  w->count = 0;
  w->start_us = next ? w->start_us + w->period_us : now_us - elapsed % w->period_us;
}

static int32_t fixed_take(struct window* w, uint32_t tokens, uint64_t now_us) {
  if (tokens > w->limit) return -ARGUMENT;
  window_roll(w, now_us);
  if (tokens > w->limit - w->count) return -RATE_LIMITED;
  w->count += tokens;
  return 0;
}

static int32_t sliding_take(struct window* w, uint32_t tokens, uint64_t now_us) {
  if (tokens > w->limit) return -ARGUMENT;
  window_roll(w, now_us);
  uint64_t period = w->period_us, elapsed = now_us < w->start_us ? 0 : now_us - w->start_us;
  uint64_t most = w->limit * period, used = w->before * (period - elapsed) + w->count * period;
  uint64_t room = used >= most ? 0 : most - used;
  if (room < tokens * period) return -RATE_LIMITED;
  w->count += tokens;
  return 0;
}

struct sliding_log {
  uint32_t limit, period_us, first, count;
  uint64_t entries[LOG_ENTRIES];
};

static uint64_t* log_entry(struct sliding_log* l, uint32_t index) {
  uint32_t place = l->first + index;
  return &l->entries[place >= l->limit ? place - l->limit : place];
}

static int32_t log_take(struct sliding_log* l, uint32_t tokens, uint64_t now_us) {
  if (tokens > l->limit) return -ARGUMENT;
  while (l->count > 0 && *log_entry(l, 0) + l->period_us <= now_us) {
    l->first = l->first + 1 == l->limit ? 0 : l->first + 1;
    l->count -= 1;
  }
  if (tokens > l->limit - l->count) return -RATE_LIMITED;
  uint64_t last_us = l->count == 0 ? 0 : *log_entry(l, l->count - 1);
  for (uint32_t token = 0; token < tokens; token += 1)
    *log_entry(l, l->count + token) = now_us > last_us ? now_us : last_us;
  l->count += tokens;
  return 0;
}
