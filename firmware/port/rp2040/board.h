#pragma once
#include <stdint.h>

/** Reads why the chip was reset, before anything else changes it. */
void board_note_reset(void);
void board_start(void);
/** What the chip is for, once it is up: the base with an app (slot.c), or a board among peers (../common/peer.c). */
__attribute__((noreturn)) void board_main(void);
