/**
 * Holds firmware/port/cortex-m0plus to this machine's floating-point unit, which is IEEE 754 in hardware: every operation on pairs
 * of edge cases and on random bit patterns of all exponents. Prints the number of cases, or the first difference and exits 1.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#define trunc our_trunc
#define floor our_floor
#define ceil our_ceil
#define rint our_rint
#define sqrt our_sqrt
#define truncf our_truncf
#define floorf our_floorf
#define ceilf our_ceilf
#define rintf our_rintf
#define sqrtf our_sqrtf
#include "float-round.c"
#undef trunc
#undef floor
#undef ceil
#undef rint
#undef sqrt
#undef truncf
#undef floorf
#undef ceilf
#undef rintf
#undef sqrtf
#include "float-pack.c"
#include "float32.c"
#define unpack unpack64
#define unpack_normal unpack_normal64
#define unpacked unpacked64
#include "float64.c"
#include "float-convert.c"
#include "integer.c"

uint64_t divide32(uint32_t dividend, uint32_t divisor) {
  return (uint64_t)(dividend % divisor) << 32 | dividend / divisor;
}

static uint64_t state;
/** xorshift64* (Vigna). */
static uint64_t dice(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1dull;
}
static uint64_t cases;

static double d(uint64_t bits) { double x; memcpy(&x, &bits, 8); return x; }
static uint64_t db(double x) { uint64_t bits; memcpy(&bits, &x, 8); return x != x ? NAN64 : bits; }
static float f(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
static uint32_t fb(float x) { uint32_t bits; memcpy(&bits, &x, 4); return x != x ? NAN32 : bits; }

static void same(const char* what, uint64_t a, uint64_t b, uint64_t ours, uint64_t right) {
  cases += 1;
  if (ours == right) return;
  printf("%s(%016" PRIx64 ", %016" PRIx64 ") = %016" PRIx64 ", not %016" PRIx64 "\n", what, a, b, ours, right);
  exit(1);
}

static void pair64(uint64_t a, uint64_t b) {
  same("dadd", a, b, __aeabi_dadd(a, b), db(d(a) + d(b)));
  same("dsub", a, b, __aeabi_dsub(a, b), db(d(a) - d(b)));
  same("dmul", a, b, __aeabi_dmul(a, b), db(d(a) * d(b)));
  same("ddiv", a, b, __aeabi_ddiv(a, b), db(d(a) / d(b)));
  same("dcmpeq", a, b, __aeabi_dcmpeq(a, b), d(a) == d(b));
  same("dcmplt", a, b, __aeabi_dcmplt(a, b), d(a) < d(b));
  same("dcmple", a, b, __aeabi_dcmple(a, b), d(a) <= d(b));
  same("dcmpgt", a, b, __aeabi_dcmpgt(a, b), d(a) > d(b));
  same("dcmpge", a, b, __aeabi_dcmpge(a, b), d(a) >= d(b));
  same("dcmpun", a, b, __aeabi_dcmpun(a, b), d(a) != d(a) || d(b) != d(b));
  same("d2f", a, 0, __aeabi_d2f(a), fb((float)d(a)));
  double x = d(a);
  if (x > -0x1p63 && x < 0x1p63) same("d2lz", a, 0, (uint64_t)__aeabi_d2lz(a), (uint64_t)(int64_t)x);
  if (x > -1 && x < 0x1p64) same("d2ulz", a, 0, __aeabi_d2ulz(a), (uint64_t)x);
  if (x > -0x1p31 - 1 && x < 0x1p31) same("d2iz", a, 0, (uint32_t)__aeabi_d2iz(a), (uint32_t)(int32_t)x);
  if (x > -1 && x < 0x1p32) same("d2uiz", a, 0, __aeabi_d2uiz(a), (uint32_t)x);
  same("trunc", a, 0, db(our_trunc(x)), db(trunc(x)));
  same("floor", a, 0, db(our_floor(x)), db(floor(x)));
  same("ceil", a, 0, db(our_ceil(x)), db(ceil(x)));
  same("rint", a, 0, db(our_rint(x)), db(rint(x)));
  same("sqrt", a, 0, db(our_sqrt(x)), db(sqrt(x)));
  same("ul2d", a, 0, __aeabi_ul2d(a), db((double)a));
  same("l2d", a, 0, __aeabi_l2d((int64_t)a), db((double)(int64_t)a));
  same("ul2f", a, 0, __aeabi_ul2f(a), fb((float)a));
  same("l2f", a, 0, __aeabi_l2f((int64_t)a), fb((float)(int64_t)a));
  if (b != 0) {
    uint64_t remainder;
    same("uldiv", a, b, divide64(a, b, &remainder), a / b);
    same("ulmod", a, b, remainder, a % b);
    int64_t rest;
    if (!(a == SIGN64 && b == UINT64_MAX)) {
      same("ldiv", a, b, (uint64_t)divide64_signed((int64_t)a, (int64_t)b, &rest), (uint64_t)((int64_t)a / (int64_t)b));
      same("lmod", a, b, (uint64_t)rest, (uint64_t)((int64_t)a % (int64_t)b));
    }
  }
}

static void pair32(uint32_t a, uint32_t b) {
  same("fadd", a, b, __aeabi_fadd(a, b), fb(f(a) + f(b)));
  same("fsub", a, b, __aeabi_fsub(a, b), fb(f(a) - f(b)));
  same("fmul", a, b, __aeabi_fmul(a, b), fb(f(a) * f(b)));
  same("fdiv", a, b, __aeabi_fdiv(a, b), fb(f(a) / f(b)));
  same("fcmpeq", a, b, __aeabi_fcmpeq(a, b), f(a) == f(b));
  same("fcmplt", a, b, __aeabi_fcmplt(a, b), f(a) < f(b));
  same("fcmple", a, b, __aeabi_fcmple(a, b), f(a) <= f(b));
  same("fcmpgt", a, b, __aeabi_fcmpgt(a, b), f(a) > f(b));
  same("fcmpge", a, b, __aeabi_fcmpge(a, b), f(a) >= f(b));
  same("fcmpun", a, b, __aeabi_fcmpun(a, b), f(a) != f(a) || f(b) != f(b));
  same("f2d", a, 0, __aeabi_f2d(a), db((double)f(a)));
  float x = f(a);
  if (x > -0x1p31f && x < 0x1p31f) same("f2iz", a, 0, (uint32_t)__aeabi_f2iz(a), (uint32_t)(int32_t)x);
  if (x > -1 && x < 0x1p32f) same("f2uiz", a, 0, __aeabi_f2uiz(a), (uint32_t)x);
  if (x > -0x1p63f && x < 0x1p63f) same("f2lz", a, 0, (uint64_t)__aeabi_f2lz(a), (uint64_t)(int64_t)x);
  if (x > -1 && x < 0x1p64f) same("f2ulz", a, 0, __aeabi_f2ulz(a), (uint64_t)x);
  same("truncf", a, 0, fb(our_truncf(x)), fb(truncf(x)));
  same("floorf", a, 0, fb(our_floorf(x)), fb(floorf(x)));
  same("ceilf", a, 0, fb(our_ceilf(x)), fb(ceilf(x)));
  same("rintf", a, 0, fb(our_rintf(x)), fb(rintf(x)));
  same("sqrtf", a, 0, fb(our_sqrtf(x)), fb(sqrtf(x)));
  same("ui2f", a, 0, __aeabi_ui2f(a), fb((float)a));
  same("i2f", a, 0, __aeabi_i2f((int32_t)a), fb((float)(int32_t)a));
  same("ui2d", a, 0, __aeabi_ui2d(a), db((double)a));
  same("i2d", a, 0, __aeabi_i2d((int32_t)a), db((double)(int32_t)a));
  if (b != 0) {
    same("uidivmod", a, b, __aeabi_uidivmod(a, b), (uint64_t)(a % b) << 32 | a / b);
    if (!(a == SIGN32 && b == UINT32_MAX)) {
      uint32_t quotient = (uint32_t)((int32_t)a / (int32_t)b), remainder = (uint32_t)((int32_t)a % (int32_t)b);
      same("idivmod", a, b, __aeabi_idivmod((int32_t)a, (int32_t)b), (uint64_t)remainder << 32 | quotient);
    }
  }
}

/** Bit patterns where implementations go wrong: both sides of each boundary. */
static const uint64_t edges64[] = {
    0, 1, 2, 3, 0xfffffffffffffull, 0x10000000000000ull, 0x10000000000001ull, 0x1fffffffffffffull, 0x20000000000000ull,
    0x3ca0000000000000ull, 0x3cafffffffffffffull, 0x3fe0000000000000ull, 0x3fefffffffffffffull, 0x3ff0000000000000ull,
    0x3ff0000000000001ull, 0x3fffffffffffffffull, 0x4000000000000000ull, 0x4340000000000000ull, 0x433fffffffffffffull,
    0x41dfffffffc00000ull, 0x41e0000000000000ull, 0x43e0000000000000ull, 0x43dfffffffffffffull, 0x43f0000000000000ull,
    0x36a0000000000000ull, 0x380fffffffffffffull, 0x3810000000000000ull, 0x380fffffe0000000ull, 0x47efffffe0000000ull,
    0x47effffff0000000ull, 0x47efffffefffffffull, 0x7fefffffffffffffull, INF64, INF64 + 1, NAN64, 0x7fffffffffffffffull};
static const uint32_t edges32[] = {
    0, 1, 2, 3, 0x7fffff, 0x800000, 0x800001, 0xffffff, 0x1000000, 0x33000000, 0x337fffff, 0x33800000, 0x3f000000,
    0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fffffff, 0x40000000, 0x4b000000, 0x4b7fffff, 0x4effffff, 0x4f000000,
    0x5f000000, 0x5effffff, 0x5f800000, 0x7f7fffff, INF32, INF32 + 1, NAN32, 0x7fffffff};
#define COUNT(of) (sizeof of / sizeof *of)

int main(int argc, char** argv) {
  uint64_t rounds = argc > 1 ? strtoull(argv[1], 0, 10) : 100000;
  state = argc > 2 ? strtoull(argv[2], 0, 10) | 1 : 1;
  for (uint32_t i = 0; i < 2 * COUNT(edges64); i += 1)
    for (uint32_t j = 0; j < 2 * COUNT(edges64); j += 1)
      pair64(edges64[i / 2] | (i & 1 ? SIGN64 : 0), edges64[j / 2] | (j & 1 ? SIGN64 : 0));
  for (uint32_t i = 0; i < 2 * COUNT(edges32); i += 1)
    for (uint32_t j = 0; j < 2 * COUNT(edges32); j += 1)
      pair32(edges32[i / 2] | (i & 1 ? SIGN32 : 0), edges32[j / 2] | (j & 1 ? SIGN32 : 0));
  for (uint64_t round = 0; round < rounds; round += 1) {
    uint64_t a = dice(), b = dice(), how = dice();
    /* Of like exponents, where cancellation is; with few bits, where ties are. */
    if (how & 1) b = (b & ~INF64) | (((a >> 52 & 0x7ff) + (how >> 8) % 120 - 60) & 0x7ff) << 52;
    if (how & 2) a &= UINT64_MAX << (how >> 16 & 63);
    if (how & 4) b &= UINT64_MAX << (how >> 24 & 63);
    pair64(a, b);
    pair64(a >> (how >> 40 & 63), b >> (how >> 48 & 63));
    uint32_t x = (uint32_t)dice(), y = (uint32_t)dice();
    if (how & 8) y = (y & ~INF32) | (((x >> 23 & 0xff) + (uint32_t)(how >> 32) % 60 - 30) & 0xff) << 23;
    if (how & 16) x &= UINT32_MAX << (how >> 34 & 31);
    if (how & 32) y &= UINT32_MAX << (how >> 44 & 31);
    pair32(x, y);
  }
  printf("%" PRIu64 "\n", cases);
  return 0;
}
