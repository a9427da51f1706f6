/** binary64: add, subtract, multiply, divide. */
#include "float.h"

struct unpacked {
  uint64_t significand;
  int exponent;
};

/** Of a finite number; a subnormal one is not normalised. */
static struct unpacked unpack(uint64_t x) {
  int exponent = (int)(x >> 52 & 0x7ff);
  uint64_t significand = x << 12 >> 2;
  if (exponent == 0) return (struct unpacked){significand, 1};
  return (struct unpacked){significand | 1ull << 62, exponent};
}
static struct unpacked unpack_normal(uint64_t x) {
  struct unpacked u = unpack(x);
  int shift = __builtin_clzll(u.significand | 1) - 1;
  return (struct unpacked){u.significand << shift, u.exponent - shift};
}

uint64_t __aeabi_dadd(uint64_t a, uint64_t b) {
  if (a << 1 < b << 1) {
    uint64_t swapped = a;
    a = b;
    b = swapped;
  }
  uint64_t sign = a & SIGN64;
  bool differ = ((a ^ b) & SIGN64) != 0;
  if (a << 1 >= INF64 << 1) return is_nan64(a) || (differ && a << 1 == b << 1) ? NAN64 : a;
  struct unpacked x = unpack(a), y = unpack(b);
  y.significand = jam64(y.significand, x.exponent - y.exponent);
  uint64_t sum = differ ? x.significand - y.significand : x.significand + y.significand;
  return pack64(sum == 0 && differ ? 0 : sign, x.exponent, sum);
}
uint64_t __aeabi_dsub(uint64_t a, uint64_t b) {
  return __aeabi_dadd(a, b ^ SIGN64);
}

static __attribute__((noinline)) uint64_t multiply32(uint32_t a, uint32_t b) {
  uint32_t al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
  uint32_t low = al * bl, cross = ah * bl, other = al * bh;
  uint32_t middle = (low >> 16) + (cross & 0xffff) + (other & 0xffff);
  uint32_t high = ah * bh + (cross >> 16) + (other >> 16) + (middle >> 16);
  return (uint64_t)high << 32 | (middle << 16 | (low & 0xffff));
}

uint64_t __aeabi_dmul(uint64_t a, uint64_t b) {
  uint64_t sign = (a ^ b) & SIGN64;
  a &= ~SIGN64;
  b &= ~SIGN64;
  if (a < b) {
    uint64_t swapped = a;
    a = b;
    b = swapped;
  }
  if (a >= INF64) return a > INF64 || b == 0 ? NAN64 : sign | INF64;
  if (b == 0) return sign;
  struct unpacked x = unpack_normal(a), y = unpack_normal(b);
  uint32_t xl = (uint32_t)x.significand, xh = (uint32_t)(x.significand >> 32);
  uint32_t yl = (uint32_t)y.significand, yh = (uint32_t)(y.significand >> 32);
  uint64_t low = multiply32(xl, yl);
  uint64_t middle = multiply32(xh, yl) + (low >> 32);
  uint64_t cross = multiply32(xl, yh) + (uint32_t)middle;
  uint64_t high = multiply32(xh, yh) + (middle >> 32) + (cross >> 32);
  bool rest = ((uint32_t)cross | (uint32_t)low) != 0;
  return pack64(sign, x.exponent + y.exponent - BIAS64, high << 2 | rest);
}

uint64_t __aeabi_ddiv(uint64_t a, uint64_t b) {
  uint64_t sign = (a ^ b) & SIGN64;
  a &= ~SIGN64;
  b &= ~SIGN64;
  if (a > INF64 || b > INF64 || (a == b && (a == 0 || a == INF64))) return NAN64;
  if (a == INF64 || b == 0) return sign | INF64;
  if (a == 0 || b == INF64) return sign;
  struct unpacked x = unpack_normal(a), y = unpack_normal(b);
  uint64_t remainder = x.significand, quotient = 0;
  /* One bit a turn, from the integer bit on; 56 of them are all that rounding can ask for. */
  for (int bit = 0; bit < 56; bit += 1) {
    quotient <<= 1;
    if (remainder >= y.significand) {
      remainder -= y.significand;
      quotient |= 1;
    }
    remainder <<= 1;
  }
  return pack64(sign, x.exponent - y.exponent + BIAS64, quotient << 7 | (remainder != 0));
}
