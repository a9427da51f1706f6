/** What ends a call into the app, or the base; kinds are TRAP_* of table.generated.h. */
#pragma once
#include <stdint.h>

#include "../common/table.generated.h"

/** Ends the running call into the app with a trap; `address` is where in its code. */
__attribute__((noreturn)) void app_trap(uint32_t kind, uint32_t address);
/** The base itself is broken: notes it and restarts the board. */
__attribute__((noreturn)) void base_panic(uint32_t kind, uint32_t address);
