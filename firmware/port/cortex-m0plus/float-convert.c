/** Comparisons and conversions. Conversions to integers truncate; what does not fit is for the caller to ask about before. */
#include "float.h"

/** -1, 0, 1, or 2 when they are not ordered. */
static __attribute__((noinline)) int order64(uint64_t a, uint64_t b) {
  if (is_nan64(a) || is_nan64(b)) return 2;
  if ((a | b) << 1 == 0 || a == b) return 0;
  /* Magnitudes order like integers; below zero the other way round. */
  if ((a ^ b) >> 63) return a >> 63 ? -1 : 1;
  return (a < b) != (a >> 63 != 0) ? -1 : 1;
}
static __attribute__((noinline)) int order32(uint32_t a, uint32_t b) {
  if (is_nan32(a) || is_nan32(b)) return 2;
  if ((a | b) << 1 == 0 || a == b) return 0;
  if ((a ^ b) >> 31) return a >> 31 ? -1 : 1;
  return (a < b) != (a >> 31 != 0) ? -1 : 1;
}
#define COMPARISONS(letter, type, order)                                                           \
  int __aeabi_##letter##cmpeq(type a, type b) { return order(a, b) == 0; }                         \
  int __aeabi_##letter##cmplt(type a, type b) { return order(a, b) == -1; }                        \
  int __aeabi_##letter##cmple(type a, type b) { return order(a, b) <= 0; }                         \
  int __aeabi_##letter##cmpgt(type a, type b) { return order(a, b) == 1; }                         \
  int __aeabi_##letter##cmpge(type a, type b) { return (order(a, b) & 2) == 0 && order(a, b) >= 0; } \
  int __aeabi_##letter##cmpun(type a, type b) { return order(a, b) == 2; }
COMPARISONS(d, uint64_t, order64)
COMPARISONS(f, uint32_t, order32)

uint64_t __aeabi_f2d(uint32_t x) {
  uint64_t sign = (uint64_t)(x & SIGN32) << 32;
  if (is_nan32(x)) return NAN64;
  if ((x & ~SIGN32) == INF32) return sign | INF64;
  int exponent = (int)(x >> 23 & 0xff);
  uint64_t significand = (uint64_t)(x & 0x7fffff) << 39;
  if (exponent == 0) exponent = 1;
  else significand |= 1ull << 62;
  return pack64(sign, exponent + BIAS64 - BIAS32, significand);
}
uint32_t __aeabi_d2f(uint64_t x) {
  uint32_t sign = (uint32_t)(x >> 32) & SIGN32;
  if (is_nan64(x)) return NAN32;
  int exponent = (int)(x >> 52 & 0x7ff);
  if (exponent == 0x7ff) return sign | INF32;
  uint64_t significand = x << 12 >> 2;
  if (exponent == 0) exponent = 1;
  else significand |= 1ull << 62;
  return pack32(sign, exponent - BIAS64 + BIAS32, (uint32_t)jam64(significand, 32));
}

uint64_t __aeabi_ul2d(uint64_t x) {
  return pack64(0, BIAS64 + 62, x);
}
uint64_t __aeabi_l2d(int64_t x) {
  return x < 0 ? pack64(SIGN64, BIAS64 + 62, -(uint64_t)x) : pack64(0, BIAS64 + 62, (uint64_t)x);
}
uint64_t __aeabi_ui2d(uint32_t x) {
  return __aeabi_ul2d(x);
}
uint64_t __aeabi_i2d(int32_t x) {
  return __aeabi_l2d(x);
}
uint32_t __aeabi_ul2f(uint64_t x) {
  if (x >> 32 == 0) return pack32(0, BIAS32 + 30, (uint32_t)x);
  int shift = __builtin_clzll(x);
  return pack32(0, BIAS32 + 62 - shift, (uint32_t)jam64(x << shift, 32));
}
uint32_t __aeabi_l2f(int64_t x) {
  uint32_t sign = x < 0 ? SIGN32 : 0;
  return sign | __aeabi_ul2f(x < 0 ? -(uint64_t)x : (uint64_t)x);
}
uint32_t __aeabi_ui2f(uint32_t x) {
  return pack32(0, BIAS32 + 30, x);
}
uint32_t __aeabi_i2f(int32_t x) {
  return x < 0 ? pack32(SIGN32, BIAS32 + 30, -(uint32_t)x) : pack32(0, BIAS32 + 30, (uint32_t)x);
}

/** The magnitude, truncated; its low bits when it is greater. */
static __attribute__((noinline)) uint64_t magnitude(uint64_t x) {
  int exponent = (int)(x >> 52 & 0x7ff) - BIAS64;
  if (exponent < 0) return 0;
  uint64_t significand = (x & 0xfffffffffffffull) | 1ull << 52;
  if (exponent >= 52) return exponent > 63 ? UINT64_MAX : significand << (exponent - 52);
  return significand >> (52 - exponent);
}
uint64_t __aeabi_d2ulz(uint64_t x) {
  return magnitude(x);
}
int64_t __aeabi_d2lz(uint64_t x) {
  uint64_t value = magnitude(x);
  return (int64_t)(x >> 63 ? -value : value);
}
uint32_t __aeabi_d2uiz(uint64_t x) {
  return (uint32_t)magnitude(x);
}
int32_t __aeabi_d2iz(uint64_t x) {
  return (int32_t)__aeabi_d2lz(x);
}
uint64_t __aeabi_f2ulz(uint32_t x) {
  return magnitude(__aeabi_f2d(x));
}
int64_t __aeabi_f2lz(uint32_t x) {
  return __aeabi_d2lz(__aeabi_f2d(x));
}
uint32_t __aeabi_f2uiz(uint32_t x) {
  return (uint32_t)magnitude(__aeabi_f2d(x));
}
int32_t __aeabi_f2iz(uint32_t x) {
  return (int32_t)__aeabi_d2lz(__aeabi_f2d(x));
}
