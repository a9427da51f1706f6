/** The base with the app in slot A. */
#include "../common/base.h"
#include "../common/port.h"
#include "board.h"

extern uint8_t app_ram_start[], app_ram_end[], slot_a[];

_Noreturn void board_main(void) {
  const struct app_image* image = (const struct app_image*)(const void*)slot_a;
  const char* problem = app_image_problem(image, SLOT_BYTES, ABI_ENTRIES, app_ram_start, app_ram_end);
  if (problem != 0) {
    port_console("no app: ");
    port_console(problem);
    port_console("\r\n");
  }
  base_run(problem == 0 ? image : 0);
}
