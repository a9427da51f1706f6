/**
 * Rounding to integers, and square roots, on the bit patterns. Linked into whatever image uses them. Instead of the C library's, which
 * sets errno and so drags initialised data in.
 */
#include "float.h"

/** floor, ceil, trunc, rint of a width: integer bits are kept, and one unit is added to the magnitude where it rounds away. */
#define ROUNDING(bits, digits, bias, suffix, real)                                          \
  static inline uint##bits##_t bits_of##suffix(real x) {                                    \
    uint##bits##_t b;                                                                       \
    __builtin_memcpy(&b, &x, sizeof b);                                                     \
    return b;                                                                               \
  }                                                                                         \
  static inline real real_of##suffix(uint##bits##_t b) {                                    \
    real x;                                                                                 \
    __builtin_memcpy(&x, &b, sizeof x);                                                     \
    return x;                                                                               \
  }                                                                                         \
  static __attribute__((noinline)) uint##bits##_t toward##suffix(uint##bits##_t x, bool away) { \
    int exponent = (int)(x >> digits & (((uint##bits##_t)1 << (bits - 1 - digits)) - 1)) - bias; \
    uint##bits##_t sign = x >> (bits - 1) << (bits - 1);                                    \
    if (exponent >= digits) return x;                                                       \
    if (exponent < 0) return away && x != sign ? sign | (uint##bits##_t)bias << digits : sign; \
    uint##bits##_t unit = (uint##bits##_t)1 << (digits - exponent);                         \
    uint##bits##_t whole = x & ~(unit - 1);                                                 \
    return away && whole != x ? whole + unit : whole;                                       \
  }                                                                                         \
  real trunc##suffix(real x) { return real_of##suffix(toward##suffix(bits_of##suffix(x), false)); } \
  real floor##suffix(real x) {                                                              \
    uint##bits##_t b = bits_of##suffix(x);                                                  \
    return real_of##suffix(toward##suffix(b, b >> (bits - 1) != 0));                        \
  }                                                                                         \
  real ceil##suffix(real x) {                                                               \
    uint##bits##_t b = bits_of##suffix(x);                                                  \
    return real_of##suffix(toward##suffix(b, b >> (bits - 1) == 0));                        \
  }                                                                                         \
  real rint##suffix(real x) {                                                               \
    uint##bits##_t b = bits_of##suffix(x);                                                  \
    int exponent = (int)(b >> digits & (((uint##bits##_t)1 << (bits - 1 - digits)) - 1)) - bias; \
    if (exponent >= digits) return x;                                                       \
    if (exponent < -1) return real_of##suffix(b >> (bits - 1) << (bits - 1));               \
    /* A half and more of the last whole unit; below one the unit is one itself, and zero is even. */ \
    uint##bits##_t unit = (uint##bits##_t)1 << (exponent < 0 ? digits : digits - exponent); \
    uint##bits##_t rest = exponent < 0 ? (b & (unit - 1)) + unit : b & (unit - 1);          \
    uint##bits##_t half = exponent < 0 ? unit : unit >> 1;                                  \
    bool odd = exponent >= 0 && (b & unit) != 0;                                            \
    return real_of##suffix(toward##suffix(b, rest > half || (rest == half && odd)));        \
  }
ROUNDING(64, 52, BIAS64, , double)
ROUNDING(32, 23, BIAS32, f, float)

/** Digit by digit, as on paper: 55 binary digits, and whether anything is left. */
double sqrt(double value) {
  uint64_t x = bits_of(value);
  if (x << 1 == 0 || x == INF64) return value;
  if (x >> 63 != 0 || is_nan64(x)) return real_of(NAN64);
  int exponent = (int)(x >> 52);
  uint64_t significand = (x & 0xfffffffffffffull) | (exponent == 0 ? 0 : 1ull << 52);
  if (exponent == 0) exponent = 1;
  int shift = __builtin_clzll(significand) - 11;
  significand <<= shift;
  exponent -= shift;
  /* An even power of two goes outside the root. */
  if ((exponent - BIAS64) & 1) {
    significand <<= 1;
    exponent -= 1;
  }
  uint64_t root = 0, remainder = 0;
  for (int digit = 0; digit < 55; digit += 1) {
    remainder = remainder << 2 | (significand >> 52 & 3);
    significand = (significand & 0xfffffffffffffull) << 2;
    uint64_t trial = root << 2 | 1;
    root <<= 1;
    if (remainder >= trial) {
      remainder -= trial;
      root |= 1;
    }
  }
  return real_of(pack64(0, (exponent - BIAS64) / 2 + BIAS64, root << 8 | (remainder != 0)));
}
/** Rounding twice is right here: a root of 24 bits is never so near to a tie. */
float sqrtf(float value) {
  return (float)sqrt((double)value);
}
