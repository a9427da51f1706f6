/* An app that breaks out of what the toolchain guarantees: its command reads a word at an odd address, which is a HardFault. */
#include <stdint.h>
#include <string.h>

uint8_t app_arena[64];
uint32_t tardi_command(uint32_t name, uint32_t length, uint32_t inbox);

void app_instantiate(void) {}
void app_start(void) {}
void app_setup(void) {
  memcpy(app_arena + 16, "fault", 5);
  tardi_command(16, 5, 0);
}
void app_on_timer(uint32_t id) {
  (void)id;
}
void app_on_shadow(uint32_t address, uint32_t length) {
  (void)address;
  (void)length;
}
uint32_t app_on_command(uint32_t address, uint32_t length) {
  (void)length;
  volatile uint32_t* odd = (volatile uint32_t*)(uintptr_t)(0x20000001u + address);
  return *odd;
}
