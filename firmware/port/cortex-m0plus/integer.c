/** Division of 64-bit integers, and of 32-bit ones by whatever the chip has for it (divide32 below). */
#include <stdint.h>

/** Quotient in the low word, remainder in the high one: as the ABI returns both. The port's. */
uint64_t divide32(uint32_t dividend, uint32_t divisor);

uint64_t __aeabi_uidivmod(uint32_t dividend, uint32_t divisor) {
  return divide32(dividend, divisor);
}
uint32_t __aeabi_uidiv(uint32_t dividend, uint32_t divisor) {
  return (uint32_t)divide32(dividend, divisor);
}
uint64_t __aeabi_idivmod(int32_t dividend, int32_t divisor) {
  uint64_t both = divide32(dividend < 0 ? -(uint32_t)dividend : (uint32_t)dividend,
                           divisor < 0 ? -(uint32_t)divisor : (uint32_t)divisor);
  uint32_t quotient = (uint32_t)both, remainder = (uint32_t)(both >> 32);
  if ((dividend ^ divisor) < 0) quotient = -quotient;
  if (dividend < 0) remainder = -remainder;
  return (uint64_t)remainder << 32 | quotient;
}
int32_t __aeabi_idiv(int32_t dividend, int32_t divisor) {
  return (int32_t)(uint32_t)__aeabi_idivmod(dividend, divisor);
}

/** Shift and subtract, only as many turns as the quotient has bits. By zero: all ones, which nobody asks for. */
uint64_t divide64(uint64_t dividend, uint64_t divisor, uint64_t* remainder);
uint64_t divide64(uint64_t dividend, uint64_t divisor, uint64_t* remainder) {
  if ((dividend | divisor) >> 32 == 0) {
    uint64_t both = divide32((uint32_t)dividend, (uint32_t)divisor);
    *remainder = both >> 32;
    return (uint32_t)both;
  }
  uint64_t quotient = 0;
  if (divisor <= dividend) {
    int shift = __builtin_clzll(divisor | 1) - __builtin_clzll(dividend);
    divisor <<= shift;
    for (; shift >= 0; shift -= 1) {
      quotient <<= 1;
      if (dividend >= divisor) {
        dividend -= divisor;
        quotient |= 1;
      }
      divisor >>= 1;
    }
  }
  *remainder = dividend;
  return quotient;
}
int64_t divide64_signed(int64_t dividend, int64_t divisor, int64_t* remainder);
int64_t divide64_signed(int64_t dividend, int64_t divisor, int64_t* remainder) {
  uint64_t rest;
  uint64_t quotient = divide64(dividend < 0 ? -(uint64_t)dividend : (uint64_t)dividend,
                               divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor, &rest);
  *remainder = (int64_t)(dividend < 0 ? -rest : rest);
  return (int64_t)((dividend ^ divisor) < 0 ? -quotient : quotient);
}

#ifdef __arm__
/* Quotient in r0 and r1, remainder in r2 and r3: C cannot say that. */
#define DIVMOD(name, function)                                                        \
  __attribute__((naked)) void name(void);                                             \
  void name(void) {                                                                   \
    __asm__ volatile(                                                                 \
        "push {r4, lr}\n sub sp, #16\n add r4, sp, #8\n str r4, [sp]\n bl " #function \
        "\n add sp, #8\n pop {r2, r3}\n pop {r4, pc}\n");                             \
  }
DIVMOD(__aeabi_uldivmod, divide64)
DIVMOD(__aeabi_ldivmod, divide64_signed)
#endif
