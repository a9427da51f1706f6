/** CRC-32 ISO-HDLC, as assembly/codec/crc32.ts. */
#pragma once
#include <stdint.h>
uint32_t crc32_update(uint32_t crc, const void* bytes, uint32_t length);
