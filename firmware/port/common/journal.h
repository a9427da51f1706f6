/**
 * A few 64-bit values in flash, kept through power cuts at any moment, with the wear spread over all sectors.
 *
 *   sector   [ header ][ record ][ record ] ...         16 bytes each, appended; the last record of a key counts
 *   header   magic u32, generation u32, zero u32, CRC-32 of the first twelve bytes
 *   record   key u32, value u64, CRC-32 of the first twelve bytes
 *
 * The sector with the highest generation counts. When it is full the next one is erased, gets the current values, and its header
 * last: until that is whole the old sector counts, so a cut anywhere loses nothing that was written. A record with a wrong CRC
 * is one that a cut tore; it is stepped over. Log-structured as in Rosenblum and Ousterhout (1992), as small as it can be.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_KEYS 8

void journal_open(void);
uint64_t journal_read(uint32_t key);
/** Durable when true. May erase a sector, which takes some 45 ms, when journal_is_due() was let pass. */
bool journal_write(uint32_t key, uint64_t value);
/** The sector is nearly full: call journal_prepare() when 45 ms without interrupts suit. */
bool journal_is_due(void);
void journal_prepare(void);
