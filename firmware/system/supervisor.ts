/**
 * What happens to an app that fails: the rungs restart and isolate of the ladder (assembly/errors/recovery.ts draws it).
 *
 *   running --trap in a callback--> restart, fresh memory --> running
 *      |  ^                            | TRAPS_MAX times within TRAPS_PERIOD_US, then once more
 *      |  |                            v
 *      |  '--restart-app, reset, --- isolated: its timers and commands rest, its pins are off; the link, the session and
 *      |     power cycle, update        the outbox go on, hello says why
 *      |                               ^
 *      '--trap in setup----------------+--- CRASHES_MAX boots in a row ended in a watchdog's reset or a panic
 *
 * A set-up that traps would trap again, so it is not repeated by itself. A reset gives an isolated app another try, and so the loop of
 * crashes of the whole board has an end of its own: when CRASHES_MAX of its boots did not live for a minute, the app is not started.
 */
import {
  APP_ISOLATED,
  APP_TRAP,
  RECOVERY_RESTART,
  SEVERITY_CRITICAL,
} from "../../assembly/errors/codes.generated";
import { RECOVERY_BYTES, recoveryNext, recoveryReset } from "../../assembly/errors/recovery";
import { appEnter, appLeave, IN_SETUP } from "./app";
import { crashesForget, crashesInARow, SYSTEM, SYSTEM_BYTES } from "./crash-log";
import { hal_app_setup, hal_app_trap, hal_now_us } from "./hal";
import { reserve } from "./memory";
import { pinsOff } from "./pins";
import { batchClose, errorAdd } from "./telemetry";
import { timersClear } from "./timers";

const TRAPS_MAX: u32 = 8;
const TRAPS_PERIOD_US: u64 = 60_000_000;
const CRASHES_MAX: u32 = 5;

const ladder: usize = reserve(RECOVERY_BYTES);
let traps: u32 = 0;
let stopped: u32 = 0;

/** Traps of the app since boot. */
export function appTraps(): u32 {
  return traps;
}
/** Code why the app is left stopped, 0 while it runs. */
export function appStopped(): u32 {
  return stopped;
}

/** At boot. Set-up counts as the moment of boot: deadlines are whole periods since then, the same on every board. */
export function appBegin(): void {
  const crashes = crashesInARow();
  if (crashes >= CRASHES_MAX) return isolate(<i64>crashes);
  start(0);
}

/** The command restart-app: whatever was before is forgotten. */
export function appRestart(): void {
  crashesForget();
  recoveryReset(ladder);
  start(hal_now_us());
}

/** A callback trapped. */
export function appTrapped(): void {
  report();
  const now = hal_now_us();
  if (recoveryNext(ladder, RECOVERY_RESTART, TRAPS_MAX, TRAPS_PERIOD_US, now) == RECOVERY_RESTART)
    return start(now);
  isolate(<i64>hal_app_trap());
}

function start(at: u64): void {
  stopped = 0;
  appEnter(at, IN_SETUP);
  if (hal_app_setup() < 0) {
    report();
    isolate(<i64>hal_app_trap());
  }
  appLeave();
}

function report(): void {
  traps += 1;
  // What was recorded before comes before.
  batchClose();
  errorAdd(APP_TRAP, SEVERITY_CRITICAL, SYSTEM, SYSTEM_BYTES, <i64>hal_app_trap(), hal_now_us());
}

/** Metrics stay declared: what waits in the outbox is told by them. */
function isolate(detail: i64): void {
  stopped = APP_ISOLATED;
  timersClear();
  pinsOff();
  errorAdd(APP_ISOLATED, SEVERITY_CRITICAL, SYSTEM, SYSTEM_BYTES, detail, hal_now_us());
}
