/**
 * What a translated module stands on: the toolchain puts this header in place of wasm2c's own prologue, with
 *   MODULE_ARENA, MODULE_ARENA_BYTES, MODULE_ARENA_SECTION   the module's linear memory: name, size (a multiple of 8), section
 *   MODULE_CHECKED       1 for an app: every access is held against the arena, calls against the stack
 * Semantics are those of the WebAssembly core specification; addresses are 32 bits and wrap when an offset is added to them.
 *
 * An access to aligned memory inside the arena, the common case, costs one rotation and one comparison: an address rotated right
 * by log2 of the alignment is at most the rotated limit exactly when it is aligned and inside. Everything else goes to a
 * function out of line, which traps, or assembles the value byte by byte, since a Cortex-M0+ faults on unaligned accesses.
 */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "traps.h"

typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef float f32;
typedef double f64;

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#ifdef STACK_LIMIT
extern uintptr_t app_stack_floor;
#endif
#define OUT_OF_LINE __attribute__((noinline, unused))
#define MAYBE_UNUSED __attribute__((unused))

/** Kept apart from .bss: the base's start-up leaves the retained part of its module's arena alone. */
#define arena MODULE_ARENA
u8 arena[MODULE_ARENA_BYTES] __attribute__((aligned(8), section(MODULE_ARENA_SECTION)));

#if MODULE_CHECKED
#define TRAP(kind) (app_trap(TRAP_##kind, (u32)(uintptr_t)__builtin_return_address(0)), 0)
#define UNREACHABLE TRAP(UNREACHABLE)
#else
#define TRAP(kind) (base_panic(TRAP_##kind, (u32)(uintptr_t)__builtin_return_address(0)), 0)
#define UNREACHABLE TRAP(UNREACHABLE)
#endif

/* Memory */

#if MODULE_CHECKED
static inline bool misses(u32 address, u32 size, u32 shift) {
  u32 rotated = shift == 0 ? address : (address >> shift) | (address << (32 - shift));
  return UNLIKELY(rotated > (MODULE_ARENA_BYTES - size) >> shift);
}
#define LIMIT_OF(size) (MODULE_ARENA_BYTES - (size))
static OUT_OF_LINE u32 slow_load(u32 address, u32 size) {
  if (address > LIMIT_OF(size)) TRAP(MEMORY);
  u32 value = 0;
  memcpy(&value, arena + address, size);
  return value;
}
static OUT_OF_LINE u64 slow_load64(u32 address) {
  if (address > LIMIT_OF(8)) TRAP(MEMORY);
  u64 value;
  memcpy(&value, arena + address, 8);
  return value;
}
static OUT_OF_LINE void slow_store(u32 address, u32 value, u32 size) {
  if (address > LIMIT_OF(size)) TRAP(MEMORY);
  memcpy(arena + address, &value, size);
}
static OUT_OF_LINE void slow_store64(u32 address, u64 value) {
  if (address > LIMIT_OF(8)) TRAP(MEMORY);
  memcpy(arena + address, &value, 8);
}
static inline void range(u32 address, u32 length) {
  if (UNLIKELY(length > MODULE_ARENA_BYTES || address > MODULE_ARENA_BYTES - length)) TRAP(MEMORY);
}
#else
/* The system is ours and its sources keep to alignment; the emulated board faults on an access that does not. */
#define misses(address, size, shift) false
#define slow_load(address, size) 0
#define slow_load64(address) 0
#define slow_store(address, value, size) ((void)0)
#define slow_store64(address, value) ((void)0)
#define range(address, length) ((void)0)
#endif

typedef u16 cell16 __attribute__((may_alias));
typedef u32 cell32 __attribute__((may_alias));
typedef u64 cell64 __attribute__((may_alias, aligned(4)));
#define CELL(type, address) (*(type*)(void*)(arena + (address)))

/*
 * Each access twice: in line for what stands in a loop, out of line for the rest, which saves a third of an app's flash. The one out of
 * line ends in a jump to the slow path, so that the address of a trap is that of the access.
 */
#define IN_LINE static inline __attribute__((always_inline, unused))
#define JUMPING OUT_OF_LINE __attribute__((optimize("optimize-sibling-calls")))

IN_LINE u32 hot_load8(u32 address) {
  return misses(address, 1, 0) ? slow_load(address, 1) : arena[address];
}
IN_LINE u32 hot_load16(u32 address) {
  return misses(address, 2, 1) ? slow_load(address, 2) : CELL(cell16, address);
}
IN_LINE u32 hot_load32(u32 address) {
  return misses(address, 4, 2) ? slow_load(address, 4) : CELL(cell32, address);
}
IN_LINE u64 hot_load64(u32 address) {
  return misses(address, 8, 2) ? slow_load64(address) : CELL(cell64, address);
}
IN_LINE void hot_store8(u32 address, u32 value) {
  if (misses(address, 1, 0)) slow_store(address, value, 1);
  else arena[address] = (u8)value;
}
IN_LINE void hot_store16(u32 address, u32 value) {
  if (misses(address, 2, 1)) slow_store(address, value, 2);
  else CELL(cell16, address) = (u16)value;
}
IN_LINE void hot_store32(u32 address, u32 value) {
  if (misses(address, 4, 2)) slow_store(address, value, 4);
  else CELL(cell32, address) = value;
}
IN_LINE void hot_store64(u32 address, u64 value) {
  if (misses(address, 8, 2)) slow_store64(address, value);
  else CELL(cell64, address) = value;
}

#if MODULE_CHECKED
static JUMPING u32 load8(u32 address) { return hot_load8(address); }
static JUMPING u32 load16(u32 address) { return hot_load16(address); }
static JUMPING u32 load32(u32 address) { return hot_load32(address); }
static JUMPING u64 load64(u32 address) { return hot_load64(address); }
static JUMPING void store8(u32 address, u32 value) { hot_store8(address, value); }
static JUMPING void store16(u32 address, u32 value) { hot_store16(address, value); }
static JUMPING void store32(u32 address, u32 value) { hot_store32(address, value); }
static JUMPING void store64(u32 address, u64 value) { hot_store64(address, value); }
#else
/* Without checks an access is two instructions: in line is smaller. */
#define load8 hot_load8
#define load16 hot_load16
#define load32 hot_load32
#define load64 hot_load64
#define store8 hot_store8
#define store16 hot_store16
#define store32 hot_store32
#define store64 hot_store64
#endif

#define DEFINE_REINTERPRET(name, from, to) \
  static inline to name(from x) {          \
    to result;                             \
    memcpy(&result, &x, sizeof result);    \
    return result;                         \
  }
DEFINE_REINTERPRET(f32_reinterpret_i32, u32, f32)
DEFINE_REINTERPRET(i32_reinterpret_f32, f32, u32)
DEFINE_REINTERPRET(f64_reinterpret_i64, u64, f64)
DEFINE_REINTERPRET(i64_reinterpret_f64, f64, u64)

#define i32_load(a) load32(a)
#define i64_load(a) load64(a)
#define f32_load(a) f32_reinterpret_i32(load32(a))
#define f64_load(a) f64_reinterpret_i64(load64(a))
#define i32_load8_s(a) ((u32)(s32)(s8)load8(a))
#define i32_load8_u(a) load8(a)
#define i32_load16_s(a) ((u32)(s32)(s16)load16(a))
#define i32_load16_u(a) load16(a)
#define i64_load8_s(a) ((u64)(s64)(s8)load8(a))
#define i64_load8_u(a) ((u64)load8(a))
#define i64_load16_s(a) ((u64)(s64)(s16)load16(a))
#define i64_load16_u(a) ((u64)load16(a))
#define i64_load32_s(a) ((u64)(s64)(s32)load32(a))
#define i64_load32_u(a) ((u64)load32(a))
#define i32_store(a, v) store32(a, v)
#define i64_store(a, v) store64(a, v)
#define f32_store(a, v) store32(a, i32_reinterpret_f32(v))
#define f64_store(a, v) store64(a, i64_reinterpret_f64(v))
#define i32_store8(a, v) store8(a, v)
#define i32_store16(a, v) store16(a, v)
#define i64_store8(a, v) store8(a, (u32)(v))
#define i64_store16(a, v) store16(a, (u32)(v))
#define i64_store32(a, v) store32(a, (u32)(v))

#define hot_i32_load(a) hot_load32(a)
#define hot_i64_load(a) hot_load64(a)
#define hot_f32_load(a) f32_reinterpret_i32(hot_load32(a))
#define hot_f64_load(a) f64_reinterpret_i64(hot_load64(a))
#define hot_i32_load8_s(a) ((u32)(s32)(s8)hot_load8(a))
#define hot_i32_load8_u(a) hot_load8(a)
#define hot_i32_load16_s(a) ((u32)(s32)(s16)hot_load16(a))
#define hot_i32_load16_u(a) hot_load16(a)
#define hot_i64_load8_s(a) ((u64)(s64)(s8)hot_load8(a))
#define hot_i64_load8_u(a) ((u64)hot_load8(a))
#define hot_i64_load16_s(a) ((u64)(s64)(s16)hot_load16(a))
#define hot_i64_load16_u(a) ((u64)hot_load16(a))
#define hot_i64_load32_s(a) ((u64)(s64)(s32)hot_load32(a))
#define hot_i64_load32_u(a) ((u64)hot_load32(a))
#define hot_i32_store(a, v) hot_store32(a, v)
#define hot_i64_store(a, v) hot_store64(a, v)
#define hot_f32_store(a, v) hot_store32(a, i32_reinterpret_f32(v))
#define hot_f64_store(a, v) hot_store64(a, i64_reinterpret_f64(v))
#define hot_i32_store8(a, v) hot_store8(a, v)
#define hot_i32_store16(a, v) hot_store16(a, v)
#define hot_i64_store8(a, v) hot_store8(a, (u32)(v))
#define hot_i64_store16(a, v) hot_store16(a, (u32)(v))
#define hot_i64_store32(a, v) hot_store32(a, (u32)(v))

#if MODULE_CHECKED
/*
 * Accesses through a base whose bounds and alignment were checked once, for the furthest of them (the toolchain's bases.ts). The pointer is
 * null where that check failed; then each is checked by itself.
 */
#define base_of(address, extent, shift) (misses(address, extent, shift) ? (u8*)0 : arena + (address))
#define NEAR_CELL(type, base, offset) (*(type*)(void*)((base) + (offset)))
#define NEAR_LOAD(type, load, base, address, offset) \
  (UNLIKELY(!(base)) ? load((address) + (offset)) : NEAR_CELL(type, base, offset))
#define NEAR_STORE(type, store, base, address, offset, value)              \
  do {                                                                     \
    if (UNLIKELY(!(base))) store((address) + (offset), value);             \
    else NEAR_CELL(type, base, offset) = (type)(value);                    \
  } while (0)
#define near_load8(b, a, o) NEAR_LOAD(u8, load8, b, a, o)
#define near_load16(b, a, o) NEAR_LOAD(cell16, load16, b, a, o)
#define near_load32(b, a, o) NEAR_LOAD(cell32, load32, b, a, o)
#define near_load64(b, a, o) NEAR_LOAD(cell64, load64, b, a, o)
#define near_store8(b, a, o, v) NEAR_STORE(u8, store8, b, a, o, v)
#define near_store16(b, a, o, v) NEAR_STORE(cell16, store16, b, a, o, v)
#define near_store32(b, a, o, v) NEAR_STORE(cell32, store32, b, a, o, v)
#define near_store64(b, a, o, v) NEAR_STORE(cell64, store64, b, a, o, v)

#define near_i32_load(b, a, o) near_load32(b, a, o)
#define near_i64_load(b, a, o) near_load64(b, a, o)
#define near_f32_load(b, a, o) f32_reinterpret_i32(near_load32(b, a, o))
#define near_f64_load(b, a, o) f64_reinterpret_i64(near_load64(b, a, o))
#define near_i32_load8_s(b, a, o) ((u32)(s32)(s8)near_load8(b, a, o))
#define near_i32_load8_u(b, a, o) ((u32)near_load8(b, a, o))
#define near_i32_load16_s(b, a, o) ((u32)(s32)(s16)near_load16(b, a, o))
#define near_i32_load16_u(b, a, o) ((u32)near_load16(b, a, o))
#define near_i64_load8_s(b, a, o) ((u64)(s64)(s8)near_load8(b, a, o))
#define near_i64_load8_u(b, a, o) ((u64)near_load8(b, a, o))
#define near_i64_load16_s(b, a, o) ((u64)(s64)(s16)near_load16(b, a, o))
#define near_i64_load16_u(b, a, o) ((u64)near_load16(b, a, o))
#define near_i64_load32_s(b, a, o) ((u64)(s64)(s32)near_load32(b, a, o))
#define near_i64_load32_u(b, a, o) ((u64)near_load32(b, a, o))
#define near_i32_store(b, a, o, v) near_store32(b, a, o, v)
#define near_i64_store(b, a, o, v) near_store64(b, a, o, v)
#define near_f32_store(b, a, o, v) near_store32(b, a, o, i32_reinterpret_f32(v))
#define near_f64_store(b, a, o, v) near_store64(b, a, o, i64_reinterpret_f64(v))
#define near_i32_store8(b, a, o, v) near_store8(b, a, o, v)
#define near_i32_store16(b, a, o, v) near_store16(b, a, o, v)
#define near_i64_store8(b, a, o, v) near_store8(b, a, o, (u32)(v))
#define near_i64_store16(b, a, o, v) near_store16(b, a, o, (u32)(v))
#define near_i64_store32(b, a, o, v) near_store32(b, a, o, (u32)(v))
#endif

static inline MAYBE_UNUSED void memory_fill(u32 to, u32 value, u32 length) {
  range(to, length);
  memset(arena + to, (int)value, length);
}
static inline MAYBE_UNUSED void memory_copy(u32 to, u32 from, u32 length) {
  range(to, length);
  range(from, length);
  memmove(arena + to, arena + from, length);
}

/** One page at most, as every module here declares; the arena is smaller, and its end is found by the first access beyond it. */
static inline MAYBE_UNUSED u32 memory_grow(u32 pages) {
  return pages == 0 ? 1 : UINT32_MAX;
}

/* Calls */

typedef void (*wasm_function)(void);
struct table_entry {
  wasm_function function;
  u32 type;
};

#if MODULE_CHECKED
/* A module that recurses must not reach what lies below the stack: translated functions that can be on a cycle of calls ask. */
#ifndef STACK_LIMIT
extern u8 app_stack_limit[];
#define STACK_LIMIT ((uintptr_t)app_stack_limit)
#endif
#define STACK_CHECK                                          \
  do {                                                       \
    register uintptr_t sp __asm__(STACK_REGISTER);           \
    if (UNLIKELY(sp < STACK_LIMIT)) TRAP(STACK); \
  } while (0)
#endif

/* Integers */

#define I32_CLZ(x) ((x) ? (u32)__builtin_clz(x) : 32)
#define I64_CLZ(x) ((x) ? (u64)__builtin_clzll(x) : 64)
#define I32_CTZ(x) ((x) ? (u32)__builtin_ctz(x) : 32)
#define I64_CTZ(x) ((x) ? (u64)__builtin_ctzll(x) : 64)
#define I32_POPCNT(x) ((u32)__builtin_popcount(x))
#define I64_POPCNT(x) ((u64)__builtin_popcountll(x))

#define DEFINE_DIVISION(bits)                                                              \
  static inline MAYBE_UNUSED u##bits I##bits##_DIV_S(u##bits x, u##bits y) {               \
    if (UNLIKELY(y == 0)) TRAP(DIVIDE_BY_ZERO);                                               \
    if (UNLIKELY((s##bits)x == INT##bits##_MIN && (s##bits)y == -1)) TRAP(INTEGER_OVERFLOW);   \
    return (u##bits)((s##bits)x / (s##bits)y);                                             \
  }                                                                                        \
  static inline MAYBE_UNUSED u##bits I##bits##_REM_S(u##bits x, u##bits y) {               \
    if (UNLIKELY(y == 0)) TRAP(DIVIDE_BY_ZERO);                                               \
    if (UNLIKELY((s##bits)y == -1)) return 0;                                              \
    return (u##bits)((s##bits)x % (s##bits)y);                                             \
  }
DEFINE_DIVISION(32)
DEFINE_DIVISION(64)
#define DIV_U(x, y) (UNLIKELY((y) == 0) ? TRAP(DIVIDE_BY_ZERO) : (x) / (y))
#define REM_U(x, y) (UNLIKELY((y) == 0) ? TRAP(DIVIDE_BY_ZERO) : (x) % (y))

#define ROTATE(x, left, bits) (((x) << ((left) & (bits - 1))) | ((x) >> ((bits - (left)) & (bits - 1))))
#define I32_ROTL(x, y) ROTATE(x, (u32)(y), 32)
#define I64_ROTL(x, y) ROTATE(x, (u32)(y), 64)
#define I32_ROTR(x, y) ROTATE(x, 32 - ((u32)(y) & 31), 32)
#define I64_ROTR(x, y) ROTATE(x, 64 - ((u32)(y) & 63), 64)

/* Floating point */

#define DEFINE_FLOAT(type, suffix, bits, quiet_bit)                                              \
  static inline MAYBE_UNUSED type wasm_quiet##suffix(type x) {                                   \
    if (UNLIKELY(x != x)) return f##bits##_reinterpret_i##bits(i##bits##_reinterpret_f##bits(x) | quiet_bit); \
    return x;                                                                                    \
  }                                                                                              \
  static inline MAYBE_UNUSED type wasm_fabs##suffix(type x) {                                    \
    return f##bits##_reinterpret_i##bits(i##bits##_reinterpret_f##bits(x) & ~((u##bits)1 << (bits - 1))); \
  }                                                                                              \
  static inline MAYBE_UNUSED type wasm_floor##suffix(type x) { return wasm_quiet##suffix(floor##suffix(x)); }         \
  static inline MAYBE_UNUSED type wasm_ceil##suffix(type x) { return wasm_quiet##suffix(ceil##suffix(x)); }           \
  static inline MAYBE_UNUSED type wasm_trunc##suffix(type x) { return wasm_quiet##suffix(trunc##suffix(x)); }         \
  static inline MAYBE_UNUSED type wasm_nearbyint##suffix(type x) { return wasm_quiet##suffix(rint##suffix(x)); }      \
  static inline MAYBE_UNUSED type wasm_sqrt##suffix(type x) { return wasm_quiet##suffix(sqrt##suffix(x)); }           \
  static inline MAYBE_UNUSED type float_min##suffix(type x, type y) {                            \
    if (UNLIKELY(x != x || y != y)) return NAN;                                                  \
    if (UNLIKELY(x == 0 && y == 0)) return signbit(x) ? x : y;                                   \
    return x < y ? x : y;                                                                        \
  }                                                                                              \
  static inline MAYBE_UNUSED type float_max##suffix(type x, type y) {                            \
    if (UNLIKELY(x != x || y != y)) return NAN;                                                  \
    if (UNLIKELY(x == 0 && y == 0)) return signbit(x) ? y : x;                                   \
    return x > y ? x : y;                                                                        \
  }
DEFINE_FLOAT(f32, f, 32, 0x00400000u)
DEFINE_FLOAT(f64, , 64, 0x0008000000000000ull)
/* One macro for both types, as wasm2c has it. */
#define FMIN(x, y) _Generic((x), f32: float_minf, default: float_min)(x, y)
#define FMAX(x, y) _Generic((x), f32: float_maxf, default: float_max)(x, y)

#define DEFINE_TRUNCATION(to, signed_to, from, name, above, below, low, high)     \
  static inline MAYBE_UNUSED to name(from x) {                                    \
    if (UNLIKELY(!(x above) || !(x below))) TRAP(INVALID_CONVERSION); /* NaN too */ \
    return (to)(signed_to)x;                                                      \
  }                                                                               \
  static inline MAYBE_UNUSED to name##_SATURATED(from x) {                        \
    if (UNLIKELY(x != x)) return 0;                                               \
    if (UNLIKELY(!(x above))) return (to)low;                                     \
    if (UNLIKELY(!(x below))) return (to)high;                                    \
    return (to)(signed_to)x;                                                      \
  }
DEFINE_TRUNCATION(u32, s32, f32, I32_TRUNC_S_F32, >= -2147483648.f, < 2147483648.f, INT32_MIN, INT32_MAX)
DEFINE_TRUNCATION(u32, s32, f64, I32_TRUNC_S_F64, > -2147483649., < 2147483648., INT32_MIN, INT32_MAX)
DEFINE_TRUNCATION(u32, u32, f32, I32_TRUNC_U_F32, > -1.f, < 4294967296.f, 0, UINT32_MAX)
DEFINE_TRUNCATION(u32, u32, f64, I32_TRUNC_U_F64, > -1., < 4294967296., 0, UINT32_MAX)
DEFINE_TRUNCATION(u64, s64, f32, I64_TRUNC_S_F32, >= -0x1p63f, < 0x1p63f, INT64_MIN, INT64_MAX)
DEFINE_TRUNCATION(u64, s64, f64, I64_TRUNC_S_F64, >= -0x1p63, < 0x1p63, INT64_MIN, INT64_MAX)
DEFINE_TRUNCATION(u64, u64, f32, I64_TRUNC_U_F32, > -1.f, < 0x1p64f, 0, UINT64_MAX)
DEFINE_TRUNCATION(u64, u64, f64, I64_TRUNC_U_F64, > -1., < 0x1p64, 0, UINT64_MAX)
#define I32_TRUNC_SAT_S_F32 I32_TRUNC_S_F32_SATURATED
#define I32_TRUNC_SAT_S_F64 I32_TRUNC_S_F64_SATURATED
#define I32_TRUNC_SAT_U_F32 I32_TRUNC_U_F32_SATURATED
#define I32_TRUNC_SAT_U_F64 I32_TRUNC_U_F64_SATURATED
#define I64_TRUNC_SAT_S_F32 I64_TRUNC_S_F32_SATURATED
#define I64_TRUNC_SAT_S_F64 I64_TRUNC_S_F64_SATURATED
#define I64_TRUNC_SAT_U_F32 I64_TRUNC_U_F32_SATURATED
#define I64_TRUNC_SAT_U_F64 I64_TRUNC_U_F64_SATURATED
