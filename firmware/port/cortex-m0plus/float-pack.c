/** Rounding and packing, one function a width. */
#include "float.h"

uint64_t jam64(uint64_t value, int by) {
  if (by <= 0) return value;
  if (by > 63) return value != 0;
  return value >> by | ((value << (64 - by)) != 0);
}

uint64_t pack64(uint64_t sign, int exponent, uint64_t significand) {
  if (significand == 0) return sign;
  int shift = __builtin_clzll(significand) - 1;
  if (shift < 0) significand = jam64(significand, 1);
  else significand <<= shift;
  exponent -= shift;
  if (exponent <= 0) {
    significand = jam64(significand, 1 - exponent);
    exponent = 1;
  }
  if (exponent >= 0x7ff) return sign | INF64;
  uint32_t rest = (uint32_t)significand & 0x3ff;
  significand = (significand + 0x200) >> 10;
  if (rest == 0x200) significand &= ~1ull;
  /* The integer bit, when it is there, adds one to the exponent; so does a carry out of the rounding. */
  return sign | (((uint64_t)(uint32_t)(exponent - 1) << 52) + significand);
}

uint32_t pack32(uint32_t sign, int exponent, uint32_t significand) {
  if (significand == 0) return sign;
  int shift = __builtin_clz(significand) - 1;
  if (shift < 0) significand = jam32(significand, 1);
  else significand <<= shift;
  exponent -= shift;
  if (exponent <= 0) {
    significand = jam32(significand, 1 - exponent);
    exponent = 1;
  }
  if (exponent >= 0xff) return sign | INF32;
  uint32_t rest = significand & 0x7f;
  significand = (significand + 0x40) >> 7;
  if (rest == 0x40) significand &= ~1u;
  return sign | (((uint32_t)(exponent - 1) << 23) + significand);
}
