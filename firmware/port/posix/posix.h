/** What the parts of this port share. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** A file of the state folder in memory; what it lacks is filled with `blank`. */
void* map_file(const char* name, size_t bytes, uint8_t blank);
__attribute__((noreturn)) void die(const char* what);

/** A file of the state folder to read, 0 when there is none. */
FILE* open_series(const char* name);

void flash_open(void);
void pins_open(void);
void link_open(void);
/** Keeps the pseudo-terminal open over execv(), so that whoever is at its other end notices nothing but a reset. */
void link_hand_over(void);
