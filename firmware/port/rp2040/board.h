#pragma once
#include <stdint.h>

/** Reads why the chip was reset, before anything else changes it. */
void board_note_reset(void);
void board_start(void);
