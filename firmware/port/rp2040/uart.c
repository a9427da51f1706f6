/**
 * Two UARTs, each with a ring a direction; the interrupt is the other side of every ring. Link and console of the base, or both links of a board among peers.
 */
#include "uart.h"

#include "../common/port.h"
#include "../common/ring.h"
#include "registers.h"

RING(link_in, LINK_IN_BYTES);
RING(link_out, LINK_OUT_BYTES);
RING(console_in, CONSOLE_IN_BYTES);
RING(console_out, CONSOLE_OUT_BYTES);

static void start(uint32_t base, uint32_t pin, uint32_t irq) {
  REGISTER(GPIO_CTRL(pin)) = FUNCTION_UART;
  REGISTER(GPIO_CTRL(pin + 1)) = FUNCTION_UART;
  /* 125 MHz / (16 * 115200) = 67 + 52 / 64 */
  REGISTER(base + UART_IBRD) = 67;
  REGISTER(base + UART_FBRD) = 52;
  REGISTER(base + UART_LCR_H) = 3u << 5 | 1u << 4; /* 8 bits, FIFOs */
  REGISTER(base + UART_IFLS) = 2u << 3 | 0;        /* receive at half full, send at an eighth left */
  REGISTER(base + UART_IMSC) = UART_INT_RX | UART_INT_RX_TIMEOUT;
  REGISTER(base + UART_CR) = 1u << 9 | 1u << 8 | 1u << 0;
  REGISTER(NVIC_ISER) = 1u << irq;
}
void uart_start(void) {
  start(UART0, 0, IRQ_UART0);
  start(UART1, 4, IRQ_UART1);
}

/** A byte that finds no room is dropped: the frame it belongs to fails its CRC and is sent again. */
static void serve(uint32_t base, struct ring* in, struct ring* out) {
  while ((REGISTER(base + UART_FR) & UART_FR_RX_EMPTY) == 0) ring_put(in, (uint8_t)REGISTER(base + UART_DR));
  uint8_t byte;
  while ((REGISTER(base + UART_FR) & UART_FR_TX_FULL) == 0 && ring_take(out, &byte)) REGISTER(base + UART_DR) = byte;
  REGISTER(base + UART_IMSC) = UART_INT_RX | UART_INT_RX_TIMEOUT | (ring_used(out) > 0 ? UART_INT_TX : 0);
  REGISTER(base + UART_ICR) = UART_INT_RX | UART_INT_RX_TIMEOUT | UART_INT_TX;
  port_signal();
}
void uart0_interrupt(void);
void uart0_interrupt(void) {
  serve(UART0, &link_in, &link_out);
}
void uart1_interrupt(void);
void uart1_interrupt(void) {
  serve(UART1, &console_in, &console_out);
}

/** The FIFO's interrupt comes when it runs low, not when it is empty already: the first bytes are put there by hand. */
static void push(uint32_t base, struct ring* in, struct ring* out) {
  __asm__ volatile("cpsid i" ::: "memory");
  serve(base, in, out);
  __asm__ volatile("cpsie i" ::: "memory");
}

static uint32_t take(struct ring* in, uint8_t* bytes, uint32_t capacity) {
  uint32_t length = 0;
  while (length < capacity && ring_take(in, bytes + length)) length += 1;
  return length;
}

uint32_t port_link_room(void) {
  return port_peer_room(0);
}
void port_link_write(const uint8_t* bytes, uint32_t length) {
  port_peer_write(0, bytes, length);
}
uint32_t port_link_read(uint8_t* bytes, uint32_t capacity) {
  return port_peer_read(0, bytes, capacity);
}
uint32_t port_peer_room(uint32_t link) {
  return ring_room(link == 0 ? &link_out : &console_out);
}
void port_peer_write(uint32_t link, const uint8_t* bytes, uint32_t length) {
  struct ring* out = link == 0 ? &link_out : &console_out;
  for (uint32_t index = 0; index < length; index += 1) ring_put(out, bytes[index]);
  if (link == 0) push(UART0, &link_in, &link_out);
  else push(UART1, &console_in, &console_out);
}
uint32_t port_peer_read(uint32_t link, uint8_t* bytes, uint32_t capacity) {
  return take(link == 0 ? &link_in : &console_in, bytes, capacity);
}
void port_console(const char* line) {
  while (*line != 0) ring_put(&console_out, (uint8_t)*line++);
  push(UART1, &console_in, &console_out);
}
