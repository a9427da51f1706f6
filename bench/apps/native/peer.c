/**
 * What app.ts does, by hand in C: the same algorithms, table and widths of numbers, as one would write them for a Cortex-M0+. An image
 * like any app's, but without a sandbox, and with the arithmetic that comes with the compiler.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INBOX 0
#define TEXT 64

/** The base copies texts and calls through here. */
uint8_t app_arena[128];
uint32_t tardi_command(uint32_t name, uint32_t length, uint32_t inbox);
void tardi_command_result(uint32_t type, double value);

static uint8_t block[1024] __attribute__((aligned(4)));
static float readings[64];

static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                     0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

static uint32_t crc32(const uint8_t* bytes, uint32_t length) {
  uint32_t state = ~0u;
  for (uint32_t index = 0; index < length; index += 1) {
    state ^= bytes[index];
    state = nibbles[state & 15] ^ (state >> 4);
    state = nibbles[state & 15] ^ (state >> 4);
  }
  return ~state;
}

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

static bool bucket_take(struct bucket* b, uint32_t tokens, uint64_t now_us) {
  uint64_t cost = (uint64_t)tokens * b->period_us;
  if (cost > b->capacity) return false;
  uint64_t level = level_at(b, now_us);
  if (now_us > b->last_us) b->last_us = now_us;
  if (cost > level) {
    b->level = level;
    return false;
  }
  b->level = level - cost;
  return true;
}

struct average {
  float mean, variance, alpha, z_squared, variance_min;
  uint32_t count, warmup;
  float last_squared;
};

static float finite_of(float value) {
  const float most = 3.40282347e+38f;
  return value < -most ? -most : value > most ? most : value;
}

static bool average_update(struct average* a, float reading) {
  const float most = 3.40282347e+38f;
  if (!(__builtin_fabsf(reading) <= most)) return false;
  uint32_t count = a->count;
  if (count != UINT32_MAX) a->count = count + 1;
  if (count == 0) {
    a->mean = reading;
    return false;
  }
  float difference = reading - a->mean;
  float squared = difference * difference;
  float yardstick = a->variance > a->variance_min ? a->variance : a->variance_min;
  bool anomaly = count >= a->warmup && squared > a->z_squared * yardstick;
  a->last_squared = yardstick > 0 ? squared / yardstick : squared > 0 ? most : 0;
  a->mean = finite_of(a->mean + a->alpha * difference);
  a->variance = finite_of((1 - a->alpha) * (a->variance + a->alpha * squared));
  return anomaly;
}

static struct bucket bucket;
static struct average average;

static double run_crc(uint32_t rounds) {
  uint32_t sum = 0;
  for (uint32_t round = 0; round < rounds; round += 1) {
    memcpy(block, &round, 4);
    sum = sum * 31 + crc32(block, sizeof block);
  }
  return sum;
}
static double run_bucket(uint32_t rounds) {
  bucket_init(&bucket, 100, 1000000, 20, 0);
  uint64_t now = 0;
  uint32_t granted = 0;
  for (uint32_t round = 0; round < rounds; round += 1) {
    now += 5000;
    if (bucket_take(&bucket, 1, now)) granted += 1;
  }
  return granted;
}
static double run_ewma(uint32_t rounds) {
  average = (struct average){0, 0, 0.1f, 16, 0.25f, 0, 20, 0};
  uint32_t anomalies = 0;
  for (uint32_t round = 0; round < rounds; round += 1)
    if (average_update(&average, readings[round % 64])) anomalies += 1;
  uint32_t bits;
  memcpy(&bits, &average.mean, 4);
  return anomalies * 1048576.0 + (bits >> 12);
}

static void command(const char* name) {
  uint32_t length = strlen(name);
  memcpy(app_arena + TEXT, name, length);
  tardi_command(TEXT, length, INBOX);
}

void app_instantiate(void) {}
void app_start(void) {}
void app_setup(void) {
  for (uint32_t at = 0; at < sizeof block; at += 1) block[at] = (uint8_t)(at * 7);
  for (uint32_t index = 0; index < 64; index += 1)
    readings[index] = (float)(20 + index * 13 % 17 + (index == 40 ? 30 : 0)) * 0.25f;
  command("crc");
  command("bucket");
  command("ewma");
}
void app_on_timer(uint32_t id) {
  (void)id;
}
void app_on_shadow(uint32_t address, uint32_t length) {
  (void)address;
  (void)length;
}
uint32_t app_on_command(uint32_t address, uint32_t length) {
  (void)length;
  uint32_t which;
  double n;
  memcpy(&which, app_arena + address, 4);
  memcpy(&n, app_arena + address + 8, 8);
  uint32_t rounds = (uint32_t)n;
  tardi_command_result(2, which == 0 ? run_crc(rounds) : which == 1 ? run_bucket(rounds) : run_ewma(rounds));
  return 0;
}
