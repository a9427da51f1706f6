#include "journal.h"

#include <string.h>

#include "crc32.h"
#include "port.h"

#define MAGIC 0x4c4e524au /* "JRNL" */
#define RECORD 16u
#define RECORDS (PORT_FLASH_SECTOR / RECORD)
/** Records left at which a new sector is prepared: a boot writes at most five. */
#define DUE 16u
#define ATTEMPTS 4

struct record {
  uint32_t words[3];
  uint32_t crc;
};

static uint64_t values[JOURNAL_KEYS];
static uint32_t sector;
static uint32_t generation;
/** First record of the sector that is still blank. */
static uint32_t next;

static const struct record* record_at(uint32_t in, uint32_t index) {
  return (const struct record*)(const void*)(port_journal_data() + in * PORT_FLASH_SECTOR + index * RECORD);
}
static bool is_whole(const struct record* record) {
  return record->crc == crc32_update(0, record->words, sizeof record->words);
}
static bool is_blank(const struct record* record) {
  return (record->words[0] & record->words[1] & record->words[2] & record->crc) == UINT32_MAX;
}

/** Programs and reads back. */
static bool put(uint32_t in, uint32_t index, uint32_t first, uint32_t second, uint32_t third) {
  struct record record = {{first, second, third}, 0};
  record.crc = crc32_update(0, record.words, sizeof record.words);
  port_journal_program(in * PORT_FLASH_SECTOR + index * RECORD, (const uint8_t*)&record);
  return memcmp(record_at(in, index), &record, RECORD) == 0;
}

/** Takes the values over into the next sector; the header makes it count. */
static bool switch_sector(void) {
  uint32_t sectors = port_journal_bytes() / PORT_FLASH_SECTOR;
  for (uint32_t tried = 1; tried < sectors; tried += 1) {
    uint32_t into = (sector + tried) % sectors;
    port_journal_erase(into * PORT_FLASH_SECTOR);
    uint32_t at = 1;
    bool good = true;
    for (uint32_t key = 0; good && key < JOURNAL_KEYS; key += 1) {
      if (values[key] != 0) good = put(into, at++, key, (uint32_t)values[key], (uint32_t)(values[key] >> 32));
    }
    if (!good || !put(into, 0, MAGIC, generation + 1, 0)) continue;
    sector = into;
    generation += 1;
    next = at;
    return true;
  }
  return false;
}

void journal_open(void) {
  uint32_t sectors = port_journal_bytes() / PORT_FLASH_SECTOR;
  bool found = false;
  for (uint32_t in = 0; in < sectors; in += 1) {
    const struct record* header = record_at(in, 0);
    if (header->words[0] != MAGIC || !is_whole(header)) continue;
    if (found && (int32_t)(header->words[1] - generation) <= 0) continue;
    found = true;
    sector = in;
    generation = header->words[1];
  }
  memset(values, 0, sizeof values);
  next = RECORDS;
  if (!found) {
    sector = sectors - 1;
    generation = 0;
    switch_sector();
    return;
  }
  for (uint32_t index = 1; index < RECORDS; index += 1) {
    const struct record* record = record_at(sector, index);
    if (is_blank(record)) {
      next = index;
      break;
    }
    if (is_whole(record) && record->words[0] < JOURNAL_KEYS)
      values[record->words[0]] = (uint64_t)record->words[2] << 32 | record->words[1];
  }
}

uint64_t journal_read(uint32_t key) {
  return key < JOURNAL_KEYS ? values[key] : 0;
}

bool journal_write(uint32_t key, uint64_t value) {
  if (key >= JOURNAL_KEYS) return false;
  if (values[key] == value) return true;
  for (int attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (next >= RECORDS && !switch_sector()) return false;
    if (put(sector, next++, key, (uint32_t)value, (uint32_t)(value >> 32))) {
      values[key] = value;
      return true;
    }
  }
  return false;
}

bool journal_is_due(void) {
  return next + DUE > RECORDS;
}
void journal_prepare(void) {
  if (journal_is_due()) switch_sector();
}
