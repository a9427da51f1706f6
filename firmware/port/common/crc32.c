#include "crc32.h"

uint32_t crc32_update(uint32_t crc, const void* bytes, uint32_t length) {
  const uint8_t* at = bytes;
  crc = ~crc;
  while (length-- > 0) {
    crc ^= *at++;
    for (int bit = 0; bit < 8; bit += 1) crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}
