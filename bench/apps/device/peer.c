/**
 * What app.ts does, by hand in C: the same algorithms and widths of numbers, in plain structs, as one would write them for a Cortex-M0+. An image like
 * any app's, but without a sandbox, and with the arithmetic that comes with the compiler. ONLY is app.ts's.
 */
#include "calls.h"
#include "concurrency.h"
#include "limiters.h"
#include "outcomes.h"

#ifndef ONLY
#define ONLY -1
#endif
#define HAS(policy) (ONLY < 0 || ONLY == policy)
#define INBOX 0
#define TEXT 104
#define START_US 10000000000u
#define STEP_US 5000

enum { BREAKER = 1, THROTTLE, BUCKET, GCRA, WINDOW, LOG, RETRY, BUDGET, LATENCY, WHEEL, BULKHEAD, CONCURRENCY, LAST_GOOD };

/** The base copies texts and calls through here. */
uint8_t app_arena[128] __attribute__((aligned(8)));
uint32_t tardi_command(uint32_t name, uint32_t length, uint32_t inbox);
void tardi_command_result(uint32_t type, double value);

/** State of the kernel that runs. */
static union {
  struct breaker breaker;
  struct windowed_breaker windowed;
  struct throttle throttle;
  struct bucket bucket;
  struct gcra gcra;
  struct window window;
  struct sliding_log log;
  struct retry retry;
  struct budget budget;
  struct latency latency;
  struct wheel wheel;
  struct bulkhead bulkhead;
  struct concurrency concurrency;
  struct last_good last_good;
} the;

typedef uint32_t kernel(uint32_t round, uint64_t now);

static uint32_t empty(uint32_t round, uint64_t now) {
  (void)now;
  return round;
}
static uint32_t breaker_call(uint32_t round, uint64_t now) {
  (void)round;
  int32_t permit = breaker_acquire(&the.breaker, now);
  return (uint32_t)(permit + breaker_return(&the.breaker, permit, SUCCESS, 0, now));
}
static uint32_t breaker_windowed(uint32_t round, uint64_t now) {
  int32_t permit = breaker_acquire(&the.breaker, now);
  return (uint32_t)(permit + breaker_return(&the.breaker, permit, (round & 7) == 7 ? FAILURE : SUCCESS, 900, now));
}
static uint32_t breaker_ask(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)breaker_acquire(&the.breaker, now);
}
static uint32_t throttled(uint32_t round, uint64_t now) {
  int32_t status = throttle_admit(&the.throttle, round * 2654435761u, now);
  if (status != 0) return (uint32_t)status;
  time_add(&the.throttle.window, 1, (round & 3) == 0, 0, now);
  return 0;
}
static uint32_t bucket_one(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)bucket_take(&the.bucket, 1, now);
}
static uint32_t gcra_one(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)gcra_take(&the.gcra, 1, now);
}
static uint32_t fixed_one(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)fixed_take(&the.window, 1, now);
}
static uint32_t sliding_one(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)sliding_take(&the.window, 1, now);
}
static uint32_t log_one(uint32_t round, uint64_t now) {
  (void)round;
  return (uint32_t)log_take(&the.log, 1, now);
}
static uint32_t retry_one(uint32_t round, uint64_t now) {
  (void)now;
  return (uint32_t)retry_next(&the.retry, 1 + (round & 7), round * 2654435761u);
}
static uint32_t budgeted(uint32_t round, uint64_t now) {
  (void)round;
  time_add(&the.budget.window, 1, 0, 0, now);
  return (uint32_t)budget_retry(&the.budget, now);
}
static uint32_t latency_one(uint32_t round, uint64_t now) {
  (void)now;
  latency_record(&the.latency, 1000 + (round * 2654435761u >> 20));
  return latency_us(&the.latency);
}
static uint32_t wheel_cancelled(uint32_t round, uint64_t now) {
  return (uint32_t)wheel_cancel(&the.wheel, (uint32_t)wheel_add(&the.wheel, now + 2000000, round));
}
static uint32_t wheel_popped(uint32_t round, uint64_t now) {
  wheel_add(&the.wheel, now + 4000, round);
  return (uint32_t)wheel_pop(&the.wheel, now);
}
static uint32_t bulkhead_tried(uint32_t round, uint64_t now) {
  (void)round, (void)now;
  int32_t tried = bulkhead_try(&the.bulkhead, 1);
  return (uint32_t)(tried + bulkhead_leave(&the.bulkhead));
}
static uint32_t bulkhead_queued(uint32_t round, uint64_t now) {
  (void)now;
  uint32_t handle = (uint32_t)bulkhead_enter(&the.bulkhead, round & 3, round + 1);
  bulkhead_leave(&the.bulkhead);
  return handle + bulkhead_next(&the.bulkhead);
}
static uint32_t sampled(uint32_t round, uint64_t now) {
  bool changed = concurrency_sample(&the.concurrency, now - 800 - (round & 255), 6, (round & 63) == 63, now);
  return changed + concurrency_limit(&the.concurrency);
}
static uint32_t last_good_one(uint32_t round, uint64_t now) {
  (void)round;
  the.last_good.stored_us = now;
  the.last_good.has = 1;
  return (uint32_t)last_good_check(&the.last_good, now + 3000);
}

static kernel* prepare(uint32_t k, uint64_t now) {
  memset(&the, 0, sizeof the);
  if (HAS(BREAKER) && k >= 1 && k <= 3) {
    breaker_init(&the.breaker, 3600000, 60000);
    if (k == 1) return breaker_call;
    if (k == 3) {
      breaker_open(&the.breaker, now);
      return breaker_ask;
    }
    the.breaker.has_window = 1;
    the.breaker.failure_milli = the.breaker.slow_milli = 500;
    the.breaker.slow_us = 5000;
    the.breaker.calls_min = 8;
    the.windowed.window.size = WINDOW_CALLS;
    return breaker_windowed;
  }
  if (HAS(THROTTLE) && k == 4) {
    the.throttle.k_milli = 2000;
    time_init(&the.throttle.window, 1200000, now);
    return throttled;
  }
  if (HAS(BUCKET) && k == 5) {
    bucket_init(&the.bucket, 100, 1000000, 20, now);
    return bucket_one;
  }
  if (HAS(GCRA) && k == 6) {
    gcra_init(&the.gcra, 100, 1000000, 20);
    return gcra_one;
  }
  if (HAS(WINDOW) && (k == 7 || k == 8)) {
    the.window = (struct window){now, 100, 1000000, 0, 0};
    return k == 7 ? fixed_one : sliding_one;
  }
  if (HAS(LOG) && k == 9) {
    the.log.limit = LOG_ENTRIES;
    the.log.period_us = 200000;
    return log_one;
  }
  if (HAS(RETRY) && k == 10) {
    the.retry = (struct retry){100000, 5000000, 0, EXPONENTIAL, FULL_JITTER, 100000};
    return retry_one;
  }
  if (HAS(BUDGET) && k == 11) {
    the.budget.share_milli = 200;
    the.budget.reserve = 12;
    time_init(&the.budget.window, 1200000, now);
    return budgeted;
  }
  if (HAS(LATENCY) && k == 12) {
    the.latency.q = (950 * 1024 + 500) / 1000;
    return latency_one;
  }
  if (HAS(WHEEL) && (k == 13 || k == 14)) {
    wheel_init(&the.wheel, now);
    return k == 13 ? wheel_cancelled : wheel_popped;
  }
  if (HAS(BULKHEAD) && (k == 15 || k == 16)) {
    bulkhead_init(&the.bulkhead, 2);
    if (k == 15) return bulkhead_tried;
    bulkhead_try(&the.bulkhead, 0);
    bulkhead_try(&the.bulkhead, 0);
    return bulkhead_queued;
  }
  if (HAS(CONCURRENCY) && k == 17) {
    the.concurrency = (struct concurrency){.kind = AIMD,
                                           .limit = 10 * ONE,
                                           .limit_min = 1,
                                           .limit_max = 20,
                                           .window_us = 500000,
                                           .decrease_milli = 900,
                                           .tolerance_milli = 1500,
                                           .window_end_us = now + 500000};
    return sampled;
  }
  if (HAS(LAST_GOOD) && k == 18) {
    the.last_good.age_max_us = 60000000;
    return last_good_one;
  }
  return empty;
}

static uint32_t run(uint32_t k, uint32_t rounds) {
  uint64_t now = START_US;
  kernel* decide = prepare(k, now);
  uint32_t digest = 1;
  for (uint32_t round = 0; round < rounds; round += 1) {
    now += STEP_US;
    digest = digest * 31 + decide(round, now);
  }
  return digest;
}

static uint32_t bytes_of(uint32_t k) {
  static const uint16_t bytes[] = {0,
                                   sizeof the.breaker,
                                   sizeof the.windowed,
                                   sizeof the.breaker,
                                   sizeof the.throttle,
                                   sizeof the.bucket,
                                   sizeof the.gcra,
                                   sizeof the.window,
                                   sizeof the.window,
                                   sizeof the.log,
                                   sizeof the.retry,
                                   sizeof the.budget,
                                   sizeof the.latency,
                                   sizeof the.wheel,
                                   sizeof the.wheel,
                                   sizeof the.bulkhead,
                                   sizeof the.bulkhead,
                                   sizeof the.concurrency,
                                   sizeof the.last_good};
  return bytes[k];
}

static void command(const char* name) {
  uint32_t length = strlen(name);
  memcpy(app_arena + TEXT, name, length);
  tardi_command(TEXT, length, INBOX);
}

void app_instantiate(void) {}
void app_start(void) {}
void app_setup(void) {
  command("run");
  if (ONLY < 0) command("bytes");
}
void app_on_timer(uint32_t id) {
  (void)id;
}
void app_on_shadow(uint32_t address, uint32_t length) {
  (void)address;
  (void)length;
}
/** The inbox: which command, how many arguments, then each: value, type, length of the name, name. */
static uint32_t argument(uint32_t inbox, char name) {
  uint32_t count;
  memcpy(&count, app_arena + inbox + 4, 4);
  for (const uint8_t* at = app_arena + inbox + 8; count > 0; count -= 1, at += 40) {
    double value;
    memcpy(&value, at, 8);
    if (at[16] == name) return (uint32_t)value;
  }
  return 0;
}
uint32_t app_on_command(uint32_t address, uint32_t length) {
  (void)length;
  uint32_t which;
  memcpy(&which, app_arena + address, 4);
  uint32_t k = argument(address, 'k');
  tardi_command_result(2, which == 0 ? run(k, argument(address, 'n')) : bytes_of(k));
  return 0;
}
