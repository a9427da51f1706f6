/** The divider of the RP2040's SIO: eight cycles. Interrupts here do not divide, so nobody else's operands get in between. */
#include "registers.h"

uint64_t divide32(uint32_t dividend, uint32_t divisor);
uint64_t divide32(uint32_t dividend, uint32_t divisor) {
  REGISTER(SIO_DIV_UDIVIDEND) = dividend;
  REGISTER(SIO_DIV_UDIVISOR) = divisor;
  /* Four branches are the eight cycles it takes. */
  __asm__ volatile("b 1f\n1: b 1f\n1: b 1f\n1: b 1f\n1:");
  uint32_t remainder = REGISTER(SIO_DIV_REMAINDER);
  return (uint64_t)remainder << 32 | REGISTER(SIO_DIV_QUOTIENT);
}
