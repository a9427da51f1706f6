/**
 * What the common base (base.c, journal.c) asks of a chip or of an operating system: the whole seam of a port. docs/porting.md
 * walks through it. Functions run in the base's one task unless they say otherwise; an interrupt, or a thread in its
 * place, touches rings (ring.h) and signals the semaphore, nothing else.
 *
 *   task       base_run() is one; it never returns. Under an RTOS give it a stack of BASE_STACK_BYTES and a normal priority.
 *   queue      a ring has one writer and one reader; the interrupt side is one of them.
 *   semaphore  port_signal() gives it, from any context; port_wait() takes it, or gives up at a deadline.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Semaphore and clock */

/** Microseconds since this boot; never goes back. */
uint64_t port_now_us(void);
/** Returns at `deadline_us`, or as soon as something was signalled since the last return; may return early. Feeds the watchdog. */
void port_wait(uint64_t deadline_us);
/** From an interrupt or another thread: there is something to do. */
void port_signal(void);

/* Board */

uint32_t port_random(void);
/** Index into RESET_REASONS of protocols/table.ts: 0 power-on, 1 software, 2 watchdog, 3 trap. */
uint32_t port_reset_reason(void);
/** Restarts the board with RAM kept; `reason` is what port_reset_reason() says then. */
__attribute__((noreturn)) void port_restart(uint32_t reason);
/** A word that survives a restart but not a power cut, for base_panic(). */
extern uint32_t port_panic_notes[4];
extern const char port_board_name[];

/* Link: a stream of bytes to the gateway */

/** Room in the ring towards the gateway. */
uint32_t port_link_room(void);
/** Queues bytes that have room. */
void port_link_write(const uint8_t* bytes, uint32_t length);
/** Takes what came in, at most `capacity` bytes. */
uint32_t port_link_read(uint8_t* bytes, uint32_t capacity);

/* Links 0 and 1 to other boards, where the board is one among peers (peer.c): as above. A port without such boards leaves them out. */

uint32_t port_peer_room(uint32_t link);
void port_peer_write(uint32_t link, const uint8_t* bytes, uint32_t length);
uint32_t port_peer_read(uint32_t link, uint8_t* bytes, uint32_t capacity);

/* Flash. Addresses are offsets into the journal's area. */

/** Bytes of the area, a multiple of PORT_FLASH_SECTOR, at least two sectors. */
uint32_t port_journal_bytes(void);
const uint8_t* port_journal_data(void);
/** Erases one sector to ones. */
void port_journal_erase(uint32_t offset);
/** Programs 16 bytes at a multiple of 16: ones to zeros only. */
void port_journal_program(uint32_t offset, const uint8_t bytes[16]);
#define PORT_FLASH_SECTOR 4096u

/* Pins: statuses are 0, a level, or the negative of an error number */

int32_t port_pin_mode(uint32_t pin, uint32_t mode);
int32_t port_pin_write(uint32_t pin, uint32_t value);
int32_t port_pin_read(uint32_t pin);
int32_t port_adc_read(uint32_t channel);

/** A line for whoever has a console on the board: panics and refused images. Never blocks, may drop. */
void port_console(const char* line);
