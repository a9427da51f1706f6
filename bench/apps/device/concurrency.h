/** Adaptive concurrency. The source is assembly/resilience/concurrency.ts. */
#pragma once
#include "outcomes.h"

#define ONE 256u
#define SAMPLES_MIN 10
#define PHASE_WINDOWS 16

enum { AIMD, VEGAS, GRADIENT };
enum { STEADY, DRAINING, MEASURING };

struct concurrency {
  uint16_t kind, phase;
  uint32_t limit, limit_min, limit_max, window_us, slow_us;
  uint16_t decrease_milli, tolerance_milli;
  uint32_t baseline_us;
  uint64_t window_end_us, sum_us;
  uint32_t samples, dropped, in_flight_max, measured_us;
  uint64_t phase_us;
  uint32_t measure_every_us, measured;
};

static uint32_t concurrency_limit(const struct concurrency* c) {
  return c->phase == STEADY ? c->limit / ONE : c->limit_min;
}
static void open_window(struct concurrency* c, uint64_t now_us) {
  c->window_end_us = now_us + c->window_us;
  c->sum_us = 0;
  c->samples = c->dropped = c->in_flight_max = 0;
}
static void enter_phase(struct concurrency* c, uint16_t phase, uint64_t now_us) {
  c->phase = phase;
  c->phase_us = now_us;
  c->measured = 0;
  c->measured_us = UINT32_MAX;
}
static void settle(struct concurrency* c, uint64_t now_us) {
  c->phase = STEADY;
  c->phase_us = now_us + c->measure_every_us;
  open_window(c, now_us);
}
static uint32_t vegas(const struct concurrency* c, uint32_t limit, uint32_t mean_us, bool dropped) {
  uint32_t digits = 0;
  for (uint32_t rest = limit / ONE; rest >= 10; rest /= 10) digits += 1;
  uint32_t step = (digits == 0 ? 1 : digits) * ONE;
  if (dropped) {
    uint32_t less = step > limit / 10 ? step : limit / 10;
    return less > limit ? 0 : limit - less;
  }
  uint32_t baseline = c->baseline_us < mean_us ? c->baseline_us : mean_us;
  uint32_t queue = mean_us == 0 ? 0 : (uint64_t)limit * (mean_us - baseline) / mean_us;
  if (queue <= step) return limit + 6 * step;
  if (queue < 3 * step) return limit + step;
  if (queue <= 6 * step) return limit;
  return limit > step ? limit - step : 0;
}
static uint32_t gradient(const struct concurrency* c, uint32_t limit, uint32_t mean_us, bool dropped) {
  uint32_t half = limit >> 1, target = half;
  if (!dropped) {
    uint64_t allowed = (uint64_t)c->baseline_us * c->tolerance_milli / 1000;
    if (allowed >= mean_us) {
      uint32_t root = 1;
      while ((root + 1) * (root + 1) <= limit / ONE) root += 1;
      return limit + root * ONE;
    }
    target = (uint64_t)limit * allowed / mean_us;
    if (target < half) target = half;
  }
  return limit - (limit - target) / 5;
}
static void adjust(struct concurrency* c) {
  uint32_t limit = c->limit, next;
  bool dropped = c->dropped != 0;
  uint32_t mean_us = c->samples == 0 ? UINT32_MAX : (uint32_t)(c->sum_us / c->samples);
  if (c->kind == AIMD) {
    bool well = !dropped && (c->slow_us == 0 || mean_us <= c->slow_us);
    next = well ? limit + ONE : (uint32_t)((uint64_t)limit * c->decrease_milli / 1000);
  } else if (c->kind == VEGAS) next = vegas(c, limit, mean_us, dropped);
  else next = gradient(c, limit, mean_us, dropped);
  if (next > limit && c->in_flight_max * 2 * ONE < limit) next = limit;
  if (next < c->limit_min * ONE) next = c->limit_min * ONE;
  c->limit = next > c->limit_max * ONE ? c->limit_max * ONE : next;
}
static void steady(struct concurrency* c, uint32_t took_us, uint32_t in_flight, bool dropped, uint64_t now_us) {
  if (dropped) c->dropped += 1;
  else {
    c->sum_us += took_us;
    c->samples += 1;
    if (c->baseline_us == 0 || took_us < c->baseline_us) c->baseline_us = took_us == 0 ? 1 : took_us;
  }
  if (in_flight > c->in_flight_max) c->in_flight_max = in_flight;
  if (now_us < c->window_end_us || c->samples + c->dropped < SAMPLES_MIN) return;
  adjust(c);
  open_window(c, now_us);
  if (c->kind == AIMD || c->measure_every_us == 0 || now_us < c->phase_us) return;
  enter_phase(c, DRAINING, now_us);
}
static void measure(struct concurrency* c, uint64_t started_us, uint32_t took_us, uint32_t in_flight, bool dropped,
                    uint64_t now_us) {
  uint64_t lasted = now_us > c->phase_us ? now_us - c->phase_us : 0;
  bool late = lasted > (uint64_t)PHASE_WINDOWS * c->window_us;
  if (c->phase == DRAINING) {
    if (in_flight <= c->limit_min) enter_phase(c, MEASURING, now_us);
    else if (late) settle(c, now_us);
    return;
  }
  if (started_us >= c->phase_us && !dropped) {
    c->measured += 1;
    if (took_us < c->measured_us) c->measured_us = took_us;
    if (c->measured >= SAMPLES_MIN) {
      c->baseline_us = c->measured_us == 0 ? 1 : c->measured_us;
      settle(c, now_us);
      return;
    }
  }
  if (late) settle(c, now_us);
}

static bool concurrency_sample(struct concurrency* c, uint64_t started_us, uint32_t in_flight, bool dropped,
                               uint64_t now_us) {
  uint32_t before = concurrency_limit(c);
  uint64_t took = now_us > started_us ? now_us - started_us : 0;
  uint32_t took_us = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
  if (c->phase == STEADY) steady(c, took_us, in_flight, dropped, now_us);
  else measure(c, started_us, took_us, in_flight, dropped, now_us);
  return concurrency_limit(c) != before;
}
