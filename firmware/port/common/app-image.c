/* The header of an app's image; the toolchain defines APP_NAME, APP_VERSION, APP_CAPABILITIES, APP_ARENA_BYTES and ABI_ENTRIES. */
#include "image.h"

extern const uint8_t image_start[];
extern uint8_t ram_start[];
extern uint8_t ram_end[];
extern uint8_t app_arena[];
void app_instantiate(void);
void app_start(void);
void app_setup(void);
void app_on_timer(uint32_t id);
uint32_t app_on_command(uint32_t address, uint32_t length);
void app_on_shadow(uint32_t address, uint32_t length);

const struct app_image app_image __attribute__((section(".image"), used)) = {
    .magic = IMAGE_MAGIC,
    .abi = IMAGE_ABI,
    .abi_entries = ABI_ENTRIES,
    .address = (uintptr_t)image_start,
    .arena = app_arena,
    .arena_bytes = APP_ARENA_BYTES,
    .ram_start = ram_start,
    .ram_end = ram_end,
    .instantiate = app_instantiate,
    .start = app_start,
    .setup = app_setup,
    .on_timer = app_on_timer,
    .on_command = app_on_command,
    .on_shadow = app_on_shadow,
    .capabilities = APP_CAPABILITIES,
    .name = APP_NAME,
    .version = APP_VERSION,
};
