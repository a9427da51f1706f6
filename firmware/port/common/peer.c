/** A board among peers: firmware/raft and its app in one module, between two links, the flash and the clock. */
#include <string.h>

#include "../wasm/traps.h"
#include "hal.h"
#include "port.h"
#include "raft.h"

#define RESET_TRAP 3u
#define CELL 16u

void board_main(void) __attribute__((noreturn));

static uint32_t selected;

_Noreturn void base_panic(uint32_t kind, uint32_t address) {
  port_panic_notes[1] = kind;
  port_panic_notes[2] = address;
  port_restart(RESET_TRAP);
}

uint64_t hal_now_us(void) {
  return port_now_us();
}
uint32_t hal_random(void) {
  return port_random();
}

void hal_link_select(uint32_t link) {
  selected = link;
}
uint32_t hal_link_room(void) {
  return port_peer_room(selected);
}
uint32_t hal_link_send(uint32_t from, uint32_t length) {
  port_peer_write(selected, raft_arena + from, length);
  return 0;
}
uint32_t hal_link_read(uint32_t link, uint32_t to, uint32_t capacity) {
  return port_peer_read(link, raft_arena + to, capacity);
}

uint32_t hal_flash_sectors(void) {
  return port_journal_bytes() / PORT_FLASH_SECTOR;
}
void hal_flash_read(uint32_t offset, uint32_t to, uint32_t length) {
  memcpy(raft_arena + to, port_journal_data() + offset, length);
}
void hal_flash_erase(uint32_t offset) {
  port_journal_erase(offset);
}
uint32_t hal_flash_program(uint32_t offset, uint32_t from) {
  port_journal_program(offset, raft_arena + from);
  return memcmp(port_journal_data() + offset, raft_arena + from, CELL) == 0;
}

uint32_t hal_pin_mode(uint32_t pin, uint32_t mode) {
  return port_pin_mode(pin, mode);
}
uint32_t hal_pin_write(uint32_t pin, uint32_t value) {
  return port_pin_write(pin, value);
}
uint32_t hal_pin_read(uint32_t pin) {
  return port_pin_read(pin);
}

_Noreturn void board_main(void) {
  raft_instantiate();
  raft_start();
  raft_boot();
  raft_setup();
  for (;;) {
    uint64_t deadline = raft_poll();
    uint64_t wanted = raft_loop(port_now_us());
    port_wait(wanted < deadline ? wanted : deadline);
  }
}
