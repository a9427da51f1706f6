/**
 * The ring between an interrupt and the base's task: one writer, one reader, each of which writes its own index only. Indices
 * stay on this side; AssemblyScript sees bytes that were copied out. A Cortex-M0+ has no compare-and-swap and needs none here:
 * a 16-bit store is one access, and the compiler barrier keeps the bytes before the index.
 *
 *   data   [ . . . a b c d . . . ]      one slot stays empty, so that head == tail means empty
 *                  ^tail   ^head        reader moves tail, writer moves head
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct ring {
  volatile uint16_t head;
  volatile uint16_t tail;
  const uint16_t size;
  uint8_t* const data;
};

#define RING(name, bytes)             \
  static uint8_t name##_data[bytes];  \
  static struct ring name = {0, 0, bytes, name##_data}

/* On several cores, or threads in the interrupt's place, the hardware must keep the order too. */
#ifdef PORT_THREADS
#define RING_BARRIER() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#else
#define RING_BARRIER() __asm__ volatile("" ::: "memory")
#endif

static inline uint16_t ring_used(const struct ring* ring) {
  uint16_t head = ring->head, tail = ring->tail;
  return head >= tail ? head - tail : ring->size - tail + head;
}
static inline uint16_t ring_room(const struct ring* ring) {
  return ring->size - 1 - ring_used(ring);
}

/** Writer only. False when full. */
static inline bool ring_put(struct ring* ring, uint8_t byte) {
  uint16_t head = ring->head;
  uint16_t next = head + 1 == ring->size ? 0 : head + 1;
  if (next == ring->tail) return false;
  ring->data[head] = byte;
  RING_BARRIER();
  ring->head = next;
  return true;
}
/** Reader only. False when empty. */
static inline bool ring_take(struct ring* ring, uint8_t* byte) {
  uint16_t tail = ring->tail;
  if (tail == ring->head) return false;
  RING_BARRIER();
  *byte = ring->data[tail];
  RING_BARRIER();
  ring->tail = tail + 1 == ring->size ? 0 : tail + 1;
  return true;
}
