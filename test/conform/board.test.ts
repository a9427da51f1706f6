/** The board suites on every board there is. TARDIGRADE_BOARD_PORT=/dev/ttyACM0 adds the one on that port, with the app flashed. */
import { picoTarget } from "../support/boards/pico-target.ts";
import { posixTarget } from "../support/boards/posix-target.ts";
import { serialTarget } from "../support/boards/serial-target.ts";
import { virtualTarget } from "../support/boards/virtual-target.ts";
import { type BoardSuite, boardSuite } from "./board-suite.ts";
import { stampSuite } from "./stamp-suite.ts";

const HARDWARE = process.env.TARDIGRADE_BOARD_PORT;
/** The process's clock runs faster than the wall's, so that its timeouts do not take the suite's time. */
const POSIX_SCALE = 10;

const boards: BoardSuite[] = [
  { name: "virtual", open: virtualTarget, canCutPower: true },
  { name: "pico", open: picoTarget, canCutPower: true },
  {
    name: "posix",
    open: (options) => posixTarget({ ...options, timeScale: POSIX_SCALE }),
    canCutPower: true,
  },
];
if (HARDWARE !== undefined)
  boards.push({ name: "serial", open: () => serialTarget(HARDWARE), canCutPower: false });
for (const board of boards) {
  boardSuite(board);
  stampSuite(board);
}
