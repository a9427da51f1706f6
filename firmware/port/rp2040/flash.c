/**
 * The journal's area of the flash. While flash erases or programs, nothing can be read from it: the code here runs from RAM with
 * interrupts masked, and calls the boot ROM's routines as the datasheet's section 2.8.3 documents them.
 */
#include <string.h>

#include "../common/port.h"
#include "registers.h"

#define PAGE 256u
#define CODE(a, b) ((uint32_t)(b) << 8 | (a))
#define IN_RAM __attribute__((noinline, section(".ramcode")))

typedef void* (*lookup_function)(const uint16_t* table, uint32_t code);
typedef void (*plain_function)(void);
typedef void (*erase_function)(uint32_t address, uint32_t bytes, uint32_t block_bytes, uint32_t block_command);
typedef void (*program_function)(uint32_t address, const uint8_t* bytes, uint32_t length);

struct rom {
  plain_function connect, leave_xip, flush, enter_xip;
  erase_function erase;
  program_function program;
};

static struct rom find_rom(void) {
  lookup_function find = (lookup_function)(uintptr_t)ROM_TABLE_LOOKUP;
  const uint16_t* table = (const uint16_t*)(uintptr_t)ROM_FUNCTION_TABLE;
  return (struct rom){
      .connect = (plain_function)find(table, CODE('I', 'F')),
      .leave_xip = (plain_function)find(table, CODE('E', 'X')),
      .flush = (plain_function)find(table, CODE('F', 'C')),
      .enter_xip = (plain_function)find(table, CODE('C', 'X')),
      .erase = (erase_function)find(table, CODE('R', 'E')),
      .program = (program_function)find(table, CODE('R', 'P')),
  };
}

/** Erases a sector, or programs a page when there is one. */
IN_RAM static void change(const struct rom* rom, uint32_t address, const uint8_t* page) {
  __asm__ volatile("cpsid i" ::: "memory");
  rom->connect();
  rom->leave_xip();
  if (page == 0) rom->erase(address, PORT_FLASH_SECTOR, 65536, 0xd8);
  else rom->program(address, page, PAGE);
  rom->flush();
  rom->enter_xip();
  __asm__ volatile("cpsie i" ::: "memory");
}
/** Through a pointer, because a branch from flash does not reach RAM. */
static void (*volatile const change_in_ram)(const struct rom*, uint32_t, const uint8_t*) = change;

uint32_t port_journal_bytes(void) {
  return JOURNAL_BYTES;
}
const uint8_t* port_journal_data(void) {
  return (const uint8_t*)JOURNAL_ADDRESS;
}
void port_journal_erase(uint32_t offset) {
  struct rom rom = find_rom();
  change_in_ram(&rom, JOURNAL_ADDRESS - XIP_BASE + offset, 0);
}
void port_journal_program(uint32_t offset, const uint8_t bytes[16]) {
  struct rom rom = find_rom();
  uint8_t page[PAGE];
  memset(page, 0xff, PAGE);
  memcpy(page + offset % PAGE, bytes, 16);
  change_in_ram(&rom, JOURNAL_ADDRESS - XIP_BASE + (offset & ~(PAGE - 1)), page);
}
