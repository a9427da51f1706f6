/** The board suite on every board there is. TARDIGRADE_BOARD_PORT=/dev/ttyACM0 adds the one on that port, with the app flashed. */
import { picoTarget } from "../support/boards/pico-target.ts";
import { posixTarget } from "../support/boards/posix-target.ts";
import { serialTarget } from "../support/boards/serial-target.ts";
import { virtualTarget } from "../support/boards/virtual-target.ts";
import { boardSuite } from "./board-suite.ts";

const HARDWARE = process.env.TARDIGRADE_BOARD_PORT;
/** The process's clock runs faster than the wall's, so that its timeouts do not take the suite's time. */
const POSIX_SCALE = 10;

boardSuite({ name: "virtual", open: virtualTarget, canCutPower: true });
boardSuite({ name: "pico", open: picoTarget, canCutPower: true });
boardSuite({
  name: "posix",
  open: (options) => posixTarget({ ...options, timeScale: POSIX_SCALE }),
  canCutPower: true,
});
if (HARDWARE !== undefined)
  boardSuite({ name: "serial", open: () => serialTarget(HARDWARE), canCutPower: false });
