/**
 * IEEE 754 arithmetic for a processor without a floating-point unit, for size: the compiler's own takes 11 KB of flash, this a
 * quarter of it. Round to nearest, ties to even; subnormals in full; every NaN that comes out is the canonical one.
 *
 * A number is unpacked to sign, biased exponent and a significand whose integer bit stands one below the top (bit 62 or 30). What an
 * operation makes is normalised, rounded and packed by one function a width, which takes any significand; bits that fell off are
 * kept as a one in the last place ("jamming", as in Hauser's description of software floating point).
 *
 * The names are those of the run-time ABI for the Arm architecture, so the compiler calls these without knowing.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define NAN64 0x7ff8000000000000ull
#define INF64 0x7ff0000000000000ull
#define SIGN64 0x8000000000000000ull
#define NAN32 0x7fc00000u
#define INF32 0x7f800000u
#define SIGN32 0x80000000u

#define BIAS64 1023
#define BIAS32 127

/** Significand's integer bit at 62, `exponent` biased; any significand, zero included. */
uint64_t pack64(uint64_t sign, int exponent, uint64_t significand);
/** The same with the integer bit at 30. */
uint32_t pack32(uint32_t sign, int exponent, uint32_t significand);

/** Shifts right; what falls off stays as a one in the last place. */
uint64_t jam64(uint64_t value, int by);
static inline uint32_t jam32(uint32_t value, int by) {
  if (by > 31) return value != 0;
  return by <= 0 ? value : value >> by | ((value << (32 - by)) != 0);
}
static inline bool is_nan64(uint64_t x) {
  return (x & ~SIGN64) > INF64;
}
static inline bool is_nan32(uint32_t x) {
  return (x & ~SIGN32) > INF32;
}
