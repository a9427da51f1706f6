#include "base.h"

#include <setjmp.h>
#include <string.h>

#include "../wasm/traps.h"
#include "crc32.h"
#include "table.generated.h"
#include "hal.h"
#include "journal.h"
#include "port.h"
#include "system.h"

#define PANIC_MAGIC 0x50414e49u
#define RESET_TRAP 3u
#define NEVER UINT64_MAX
/** Keys of the journal that are the port's own; the system's are below. */
#define KEY_PANIC 6u

static const struct app_image* image;

/* Calls into the app. A trap ends the call, whatever depth it came from; the system's memory is as the app's last call left it. */

static jmp_buf trap_exit;
static bool in_app;
static uint64_t trap_note;

_Noreturn void app_trap(uint32_t kind, uint32_t address) {
  if (!in_app) base_panic(kind, address);
  trap_note = (uint64_t)kind << 32 | address;
  longjmp(trap_exit, 1);
}

_Noreturn void base_panic(uint32_t kind, uint32_t address) {
  port_panic_notes[0] = PANIC_MAGIC;
  port_panic_notes[1] = kind;
  port_panic_notes[2] = address;
  port_restart(RESET_TRAP);
}

#define CALL_APP(call)                            \
  do {                                            \
    if (image == 0) return -ERROR_APP_TRAP;       \
    if (setjmp(trap_exit) != 0) {                 \
      in_app = false;                             \
      return -ERROR_APP_TRAP;                     \
    }                                             \
    in_app = true;                                \
    call;                                         \
    in_app = false;                               \
  } while (0)

uint32_t hal_app_setup(void) {
  CALL_APP(image->instantiate(); image->start(); image->setup());
  return 0;
}
uint32_t hal_app_timer(uint32_t id) {
  CALL_APP(image->on_timer(id));
  return 0;
}
uint32_t hal_app_command(uint32_t address, uint32_t length) {
  uint32_t status;
  CALL_APP(status = image->on_command(address, length));
  return status;
}
uint32_t hal_app_shadow(uint32_t address, uint32_t length) {
  CALL_APP(image->on_shadow(address, length));
  return 0;
}
uint64_t hal_app_trap(void) {
  return trap_note;
}

static uint8_t* app_range(uint32_t address, uint32_t length) {
  if (image == 0 || length > image->arena_bytes || address > image->arena_bytes - length) return 0;
  return image->arena + address;
}
uint32_t hal_app_read(uint32_t app, uint32_t to, uint32_t length) {
  const uint8_t* from = app_range(app, length);
  if (from == 0) return -ERROR_ARENA_RANGE;
  memcpy(system_arena + to, from, length);
  return 0;
}
uint32_t hal_app_write(uint32_t app, uint32_t from, uint32_t length) {
  uint8_t* to = app_range(app, length);
  if (to == 0) return -ERROR_ARENA_RANGE;
  memcpy(to, system_arena + from, length);
  return 0;
}

const char* app_image_problem(const struct app_image* at, uint32_t bytes_max, uint32_t abi_entries,
                              const uint8_t* from, const uint8_t* to) {
  if (at->magic != IMAGE_MAGIC) return "no image";
  if (at->abi != IMAGE_ABI || at->abi_entries > abi_entries) return "built for another base";
  if (at->length < sizeof *at || at->length > bytes_max) return "length";
  if (at->address != (uintptr_t)at) return "built for another slot";
  if (at->ram_start < from || at->ram_end > to || at->ram_start > at->ram_end) return "RAM";
  const uint8_t* checked = (const uint8_t*)&at->abi_entries;
  uint32_t bytes = at->length - (uint32_t)(checked - (const uint8_t*)at);
  return crc32_update(0, checked, bytes) == at->crc ? 0 : "CRC";
}

/* The rest of the HAL */

uint64_t hal_now_us(void) {
  return port_now_us();
}
uint32_t hal_random(void) {
  return port_random();
}
uint32_t hal_reset_reason(void) {
  return port_reset_reason();
}
uint32_t hal_capabilities(void) {
  return image == 0 ? 0 : image->capabilities;
}
uint32_t hal_identity(uint32_t which, uint32_t to, uint32_t capacity) {
  const char* text = which == 0 ? port_board_name : image == 0 ? "" : which == 1 ? image->name : image->version;
  uint32_t length = 0;
  while (length < capacity && length < sizeof image->name && text[length] != 0) length += 1;
  memcpy(system_arena + to, text, length);
  return length;
}
uint32_t hal_retained_bytes(void) {
  return SYSTEM_RETAINED_BYTES;
}

uint32_t hal_link_kind(void) {
  return 1;
}
uint32_t hal_link_room(void) {
  return port_link_room();
}
uint32_t hal_link_send(uint32_t from, uint32_t length) {
  if (port_link_room() < length) return -ERROR_QUEUE_FULL;
  port_link_write(system_arena + from, length);
  return 0;
}

uint64_t hal_journal_read(uint32_t key) {
  return journal_read(key);
}
uint32_t hal_journal_write(uint32_t key, uint64_t value) {
  return journal_write(key, value) ? 0 : -ERROR_JOURNAL_FAILED;
}
uint32_t hal_journal_due(void) {
  return journal_is_due();
}
void hal_journal_prepare(void) {
  journal_prepare();
}
/** A panic of the boot before, told once. */
uint64_t hal_panic(void) {
  uint64_t note = journal_read(KEY_PANIC);
  if (note != 0) journal_write(KEY_PANIC, 0);
  return note;
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
uint32_t hal_adc_read(uint32_t channel) {
  return port_adc_read(channel);
}

static bool receive(void) {
  uint32_t capacity = system_receive_capacity();
  uint32_t length = port_link_read(system_arena + system_receive_buffer(), capacity);
  if (length > 0) system_link_receive(length);
  return length > 0;
}

_Noreturn void base_run(const struct app_image* app) {
  image = app;
  journal_open();
  if (port_panic_notes[0] == PANIC_MAGIC) {
    journal_write(KEY_PANIC, (uint64_t)(port_panic_notes[1] + 0x100u) << 32 | port_panic_notes[2]);
    port_panic_notes[0] = 0;
  }
  system_instantiate();
  system_start();
  system_boot();
  system_link_up();
  for (;;) {
    while (receive()) continue;
    uint64_t deadline = system_poll();
    port_wait(deadline);
  }
}
