/**
 * Error records of devices on their way into the gateway's monitor: what a record says, in words and as context, and how many errors it
 * stands for, since a device tells of a flood by powers of two and says the count.
 *
 * A record's HLC stamp is the device's own where it sent one that counts, else the one under which the gateway's log took the record, and `hlcFrom` says
 * which; `boot` and `uptimeUs` are the device's.
 */
import { type ErrorContext, errorCodeOf } from "../../protocols/error.ts";
import type { Error as ErrorRecord } from "../../protocols/messages.generated.ts";
import { ERRORS, type ErrorCode, RESET_REASONS, SEVERITIES, type Severity } from "../../protocols/table.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import { shownStamp } from "./record.ts";

export interface DeviceError {
  readonly code: ErrorCode;
  readonly component: string;
  readonly severity: Severity;
  readonly message: string;
  readonly boot: number;
  /** How often since that boot. */
  readonly count: number;
  readonly context: ErrorContext;
}

/** Devices, components and codes whose count is remembered; the one that was quiet for longest makes room. */
export const COUNTS_MAX = 10_000;
/** Most that one record adds, whatever a device says. */
export const TIMES_MAX = 100_000;
const RESTARTED = ERRORS.RESTARTED.number;

/** `stamp` is the one of the log's record. */
export function deviceErrorOf(record: ErrorRecord, stamp: bigint): DeviceError {
  const { boot, uptimeUs, count, operation, detail, trace, hlc, before } = record;
  return {
    // A code of a newer version; its number is in the context.
    code: errorCodeOf(record.code) ?? "ERROR_UNKNOWN",
    component: record.component,
    severity: SEVERITIES[record.severity] ?? "error",
    message: textOf(record),
    boot,
    count,
    context: {
      ...{ number: record.code, count, boot, uptimeUs },
      ...(operation === undefined ? {} : { operation }),
      ...(detail === undefined ? {} : { detail }),
      ...(trace === undefined ? {} : { traceId: hexOf(trace) }),
      ...shownStamp(hlc, stamp),
      ...(before === undefined ? {} : { before: beforeOf(before) }),
    },
  };
}

/** An error record in a sentence. */
export function textOf(record: ErrorRecord): string {
  const code = errorCodeOf(record.code);
  const where =
    record.operation === undefined ? record.component : `${record.component} in ${record.operation}`;
  if (record.code === RESTARTED) return `${where}: ${restartOf(record)}`;
  const help = code === undefined ? `error ${record.code}` : ERRORS[code].help;
  return `${where}: ${help}${record.detail === undefined ? "" : ` (${record.detail})`}`;
}

function restartOf({ detail, count, before = [] }: ErrorRecord): string {
  const reason = RESET_REASONS[detail ?? 0] ?? `reason ${detail}`;
  const crashes = count > 1 ? `, crash ${count} in a row` : "";
  return `The board restarted (${reason}${crashes})${before.length === 0 ? "." : `; before: ${beforeOf(before)}.`}`;
}

/** The crash log in a line, newest first. */
function beforeOf(before: NonNullable<ErrorRecord["before"]>): string {
  return before
    .map(({ code, component, count, uptimeUs, detail }) => {
      const when = uptimeUs === 0 ? "" : ` at ${(uptimeUs / 1e6).toFixed(1)} s`;
      const more = detail === 0 ? "" : ` (${detail})`;
      return `${errorCodeOf(code) ?? code} in ${component || "?"}${when}, ${count} in all${more}`;
    })
    .join("; ");
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class DeviceErrors {
  readonly #monitor: ErrorMonitor;
  /** The highest count told, in the order of their last record. */
  readonly #counts = new Map<string, { readonly boot: number; readonly count: number }>();

  constructor(monitor: ErrorMonitor) {
    this.#monitor = monitor;
  }

  /** The component is prefixed, so that it is not taken for one of ours. */
  report(device: string, error: DeviceError): void {
    this.#monitor.report(error.code, {
      component: `device ${error.component}`,
      device,
      severity: error.severity,
      message: error.message,
      context: error.context,
      times: this.#times(device, error),
    });
  }

  /** Raises an alert while a device leaves its app stopped, as its hello says. */
  appState(device: string, stopped: number): void {
    const id = `app ${device}`;
    if (stopped === 0) return this.#monitor.clear(id);
    const code = errorCodeOf(stopped) ?? "ERROR_UNKNOWN";
    this.#monitor.raise(id, {
      code,
      message: `The app of ${device} is stopped: ${ERRORS[code].help} \`tardi command ${device} restart-app\` starts it.`,
    });
  }

  /** The errors since the last record of the same; 1 for the first that this gateway hears of. */
  #times(device: string, { code, component, boot, count, context }: DeviceError): number {
    if (code === "RESTARTED") return 1;
    const key = `${device} ${context.number ?? code} ${component}`;
    const known = this.#counts.get(key);
    this.#counts.delete(key);
    this.#counts.set(key, { boot, count });
    for (const [quietest] of this.#counts) {
      if (this.#counts.size <= COUNTS_MAX) break;
      this.#counts.delete(quietest);
    }
    if (known === undefined || boot < known.boot) return 1;
    const more = boot === known.boot ? count - known.count : count;
    return Math.min(Math.max(more, 1), TIMES_MAX);
  }
}
