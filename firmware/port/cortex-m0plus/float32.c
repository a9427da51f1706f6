/** binary32: add, subtract, multiply, divide. */
#include "float.h"

struct unpacked {
  uint32_t significand;
  int exponent;
};

static struct unpacked unpack(uint32_t x) {
  int exponent = (int)(x >> 23 & 0xff);
  uint32_t significand = x << 9 >> 2;
  if (exponent == 0) return (struct unpacked){significand, 1};
  return (struct unpacked){significand | 1u << 30, exponent};
}
static struct unpacked unpack_normal(uint32_t x) {
  struct unpacked u = unpack(x);
  int shift = u.significand >> 30 != 0 ? 0 : __builtin_clz(u.significand | 1) - 1;
  return (struct unpacked){u.significand << shift, u.exponent - shift};
}

uint32_t __aeabi_fadd(uint32_t a, uint32_t b) {
  if (a << 1 < b << 1) {
    uint32_t swapped = a;
    a = b;
    b = swapped;
  }
  uint32_t sign = a & SIGN32;
  bool differ = ((a ^ b) & SIGN32) != 0;
  if (a << 1 >= INF32 << 1) return is_nan32(a) || (differ && a << 1 == b << 1) ? NAN32 : a;
  struct unpacked x = unpack(a), y = unpack(b);
  y.significand = jam32(y.significand, x.exponent - y.exponent);
  uint32_t sum = differ ? x.significand - y.significand : x.significand + y.significand;
  return pack32(sum == 0 && differ ? 0 : sign, x.exponent, sum);
}
uint32_t __aeabi_fsub(uint32_t a, uint32_t b) {
  return __aeabi_fadd(a, b ^ SIGN32);
}

uint32_t __aeabi_fmul(uint32_t a, uint32_t b) {
  uint32_t sign = (a ^ b) & SIGN32;
  a &= ~SIGN32;
  b &= ~SIGN32;
  if (a < b) {
    uint32_t swapped = a;
    a = b;
    b = swapped;
  }
  if (a >= INF32) return a > INF32 || b == 0 ? NAN32 : sign | INF32;
  if (b == 0) return sign;
  struct unpacked x = unpack_normal(a), y = unpack_normal(b);
  /* 24 bits by 24 bits: the halves' products fit their words. */
  uint32_t xs = x.significand >> 7, ys = y.significand >> 7;
  uint32_t xl = xs & 0xfff, xh = xs >> 12, yl = ys & 0xfff, yh = ys >> 12;
  uint32_t low = xl * yl, middle = xh * yl + xl * yh + (low >> 12);
  uint32_t high = xh * yh + (middle >> 12);
  bool rest = ((low & 0xfff) | (middle & 0xf)) != 0;
  return pack32(sign, x.exponent + y.exponent - BIAS32, high << 8 | (middle & 0xfff) >> 4 | rest);
}

uint32_t __aeabi_fdiv(uint32_t a, uint32_t b) {
  uint32_t sign = (a ^ b) & SIGN32;
  a &= ~SIGN32;
  b &= ~SIGN32;
  if (a > INF32 || b > INF32 || (a == b && (a == 0 || a == INF32))) return NAN32;
  if (a == INF32 || b == 0) return sign | INF32;
  if (a == 0 || b == INF32) return sign;
  struct unpacked x = unpack_normal(a), y = unpack_normal(b);
  uint32_t remainder = x.significand, quotient = 0;
  for (int bit = 0; bit < 27; bit += 1) {
    quotient <<= 1;
    if (remainder >= y.significand) {
      remainder -= y.significand;
      quotient |= 1;
    }
    remainder <<= 1;
  }
  return pack32(sign, x.exponent - y.exponent + BIAS32, quotient << 4 | (remainder != 0));
}
