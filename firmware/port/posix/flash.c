/** The journal's flash: a file that behaves like NOR, so that the journal is the same code as on a chip. */
#include <string.h>
#include <sys/mman.h>

#include "../common/port.h"
#include "posix.h"

static uint8_t* flash;

void flash_open(void) {
  flash = map_file("journal.bin", JOURNAL_BYTES, 0xff);
}
uint32_t port_journal_bytes(void) {
  return JOURNAL_BYTES;
}
const uint8_t* port_journal_data(void) {
  return flash;
}
void port_journal_erase(uint32_t offset) {
  memset(flash + offset, 0xff, PORT_FLASH_SECTOR);
  msync(flash + offset, PORT_FLASH_SECTOR, MS_SYNC);
}
void port_journal_program(uint32_t offset, const uint8_t bytes[16]) {
  for (int at = 0; at < 16; at += 1) flash[offset + at] &= bytes[at];
  msync(flash + (offset & ~(PORT_FLASH_SECTOR - 1)), PORT_FLASH_SECTOR, MS_SYNC);
}
