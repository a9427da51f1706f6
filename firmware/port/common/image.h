/**
 * An app's image: native code for one place in flash and one in RAM, with this header at its beginning. The toolchain writes
 * `length` and `crc` after linking; the base checks them at every boot, so a torn image never runs.
 */
#pragma once
#include <stdint.h>

#define IMAGE_MAGIC 0x47445254u /* "TRDG" */
/** Rises when abi.def changes in another way than by entries at its end, or the header below does. */
#define IMAGE_ABI 1u

struct app_image {
  uint32_t magic;
  uint32_t abi;
  /** Bytes of the image, this header included. */
  uint32_t length;
  /** CRC-32 of everything after this word. */
  uint32_t crc;
  /** Entries of abi.def that the image was linked against: an older base has fewer. */
  uint32_t abi_entries;
  /** Where the image expects to lie. */
  uintptr_t address;
  uint8_t* arena;
  uint32_t arena_bytes;
  /** RAM that the image uses, to be inside the base's region for apps. */
  uint8_t* ram_start;
  uint8_t* ram_end;
  void (*instantiate)(void);
  void (*start)(void);
  void (*setup)(void);
  void (*on_timer)(uint32_t id);
  uint32_t (*on_command)(uint32_t address, uint32_t length);
  void (*on_shadow)(uint32_t address, uint32_t length);
  /** Bit set of CAPABILITIES that the manifest declares. */
  uint32_t capabilities;
  /** UTF-8, padded with zeros. */
  char name[24];
  char version[24];
};
