/**
 * What went wrong in the boot before, told after a reset: the error monitor lies in RAM that survives a warm reset, and becomes the crash
 * log of the next boot. One record, RESTARTED, carries the reason, how many boots in a row ended in a crash, and the errors before; it
 * goes into the outbox, so another crash does not lose it. A power cut leaves no monitor behind, which is no error: hello says power-on.
 */
import { CRASH_LOG_MAX, KIND_ERROR } from "../../assembly/codec/schema.generated";
import {
  CRASH_LOG_DAMAGED,
  RESTARTED,
  SEVERITY_CRITICAL,
  SEVERITY_INFO,
  SEVERITY_WARNING,
} from "../../assembly/errors/codes.generated";
import {
  MONITOR_LAST,
  MONITOR_ROWS,
  monitorCode,
  monitorCrashes,
  monitorCrashesSet,
  monitorEntry,
  monitorEntryDetail,
  monitorEntryRow,
  monitorEntryUptime,
  monitorInit,
  monitorRecover,
  monitorRow,
  monitorRowCount,
  monitorRowName,
  monitorRowNameLength,
  monitorTotal,
  NO_ROW,
} from "../../assembly/errors/monitor";
import { bootNumber } from "./boot";
import { buildElement, buildInt, buildList, buildText, buildUint } from "./build";
import { hal_now_us, hal_reset_reason } from "./hal";
import { MONITOR } from "./outbox";
import { errorAdd, sequencedEnd, sequencedStart } from "./telemetry";

/** The component's name of what the base itself reports. */
export const SYSTEM: usize = memory.data<u8>([0x73, 0x79, 0x73, 0x74, 0x65, 0x6d]);
export const SYSTEM_BYTES: i32 = 6;

/** Places in RESET_REASONS: these and what follows are crashes. */
const REASON_WATCHDOG: u32 = 2;
/** A boot that ran for so long did not crash at its start. */
const HEALTHY_US: u64 = 60_000_000;

/** Slots of the monitor that were damaged, or -1: there is no monitor of the boot before. */
let damaged: i32 = -1;

/** Before the boot is counted. */
export function crashLogOpen(): void {
  damaged = monitorRecover(MONITOR, bootNumber());
}

/** After it, before anything else is recorded. `kept`: the outbox survived, so the monitor should have. */
export function crashLogTell(kept: bool): void {
  const reason = hal_reset_reason();
  const found = damaged >= 0;
  let crashes: u32 = 0;
  if (reason >= REASON_WATCHDOG) crashes = found ? monitorCrashes(MONITOR) + 1 : 1;
  if (crashes > 0 || (found && monitorTotal(MONITOR) > 0)) tell(reason, crashes, found);
  monitorInit(MONITOR, bootNumber());
  monitorCrashesSet(MONITOR, crashes);
  if (damaged == 0 || (!found && !kept)) return;
  const lost = found ? damaged : <i32>(MONITOR_ROWS + MONITOR_LAST);
  errorAdd(CRASH_LOG_DAMAGED, SEVERITY_WARNING, SYSTEM, SYSTEM_BYTES, lost, hal_now_us());
}

/** Boots in a row that ended in a crash before they were healthy. */
export function crashesInARow(): u32 {
  return monitorCrashes(MONITOR);
}
export function crashesForget(): void {
  if (monitorCrashes(MONITOR) != 0) monitorCrashesSet(MONITOR, 0);
}
export function crashLogHealthy(now: u64): void {
  if (now >= HEALTHY_US) crashesForget();
}

function tell(reason: u32, crashes: u32, found: bool): void {
  sequencedStart(KIND_ERROR, hal_now_us());
  buildUint(4, RESTARTED);
  buildUint(5, crashes > 0 ? SEVERITY_CRITICAL : SEVERITY_INFO);
  buildText(6, SYSTEM, SYSTEM_BYTES);
  buildInt(8, reason);
  buildUint(9, crashes);
  if (found) before();
  sequencedEnd(0);
}

/** The last errors, then the pairs of code and component that are not among them. */
function before(): void {
  let told: u32 = 0;
  let count: u32 = 0;
  for (let age: u32 = 0; age < MONITOR_LAST; age += 1) {
    const entry = monitorEntry(MONITOR, age);
    if (monitorCode(entry) == 0) continue;
    count += 1;
    if (monitorEntryRow(entry) != NO_ROW) told |= 1 << monitorEntryRow(entry);
  }
  for (let index: u32 = 0; index < MONITOR_ROWS; index += 1) {
    if (monitorCode(monitorRow(MONITOR, index)) != 0 && ((told >> index) & 1) == 0) count += 1;
  }
  buildList(12, count < <u32>CRASH_LOG_MAX ? count : CRASH_LOG_MAX);
  for (let age: u32 = 0; age < MONITOR_LAST; age += 1) {
    const entry = monitorEntry(MONITOR, age);
    if (monitorCode(entry) == 0) continue;
    pair(monitorCode(entry), monitorEntryRow(entry));
    buildUint(3, monitorEntryUptime(entry));
    buildInt(4, monitorEntryDetail(entry));
  }
  for (let index: u32 = 0; index < MONITOR_ROWS; index += 1) {
    const code = monitorCode(monitorRow(MONITOR, index));
    if (code == 0 || ((told >> index) & 1) != 0) continue;
    pair(code, index);
    buildUint(3, 0);
    buildInt(4, 0);
  }
}

/** An element's code, component and count; an entry whose row is gone stands for itself. */
function pair(code: u32, index: u32): void {
  const known = index < MONITOR_ROWS;
  const row = monitorRow(MONITOR, known ? index : 0);
  buildElement();
  buildUint(0, code);
  buildText(1, monitorRowName(row), known ? monitorRowNameLength(row) : 0);
  buildUint(2, known ? monitorRowCount(row) : 1);
}
