/** What the gateway shows of a device, from its row. */
import { errorCodeOf } from "../../protocols/error.ts";
import type { DeviceRow } from "./device-row.ts";
import type { DeviceState, DeviceSummary, MetricSummary } from "./service.ts";

export function summaryOf(
  row: DeviceRow,
  live: { readonly state: DeviceState; readonly duplicates: number },
): DeviceSummary {
  return {
    id: row.id,
    state: live.state,
    board: row.board,
    app: row.app,
    version: row.version,
    boot: row.boot,
    seq: row.seq,
    lastSeenMs: row.lastSeenMs,
    metrics: metricsOf(row),
    commands: row.commands,
    ...(row.stopped ? { stopped: errorCodeOf(row.stopped) ?? String(row.stopped) } : {}),
    pins: row.pins,
    counts: { ...row.counts, duplicates: live.duplicates },
  };
}

/** Those of the newest hello in its order, with the newest reading; then what older apps measured. */
function metricsOf(row: DeviceRow): MetricSummary[] {
  const listed = row.boots.find((boot) => boot.boot === row.helloBoot)?.metrics ?? [];
  const names = new Set(listed.map((metric) => metric.name));
  const metrics = listed.map((metric) => ({ ...metric, ...newest(row, metric.name) }));
  for (const [name, { unit }] of Object.entries(row.values)) {
    if (!names.has(name)) metrics.push({ name, unit, ...newest(row, name) });
  }
  return metrics;
}

function newest(row: DeviceRow, name: string): { readonly value?: number; readonly timeMs?: number } {
  const known = row.values[name];
  return known === undefined ? {} : { value: known.value, timeMs: known.timeMs };
}

/** The retained JSON of `tardi/<site>/<device>`. */
export function stateJson(row: DeviceRow, state: DeviceState): string {
  return JSON.stringify({
    state,
    board: row.board,
    app: row.app,
    version: row.version,
    metrics: row.values,
    desired: row.desired.entries,
    reported: row.reported.entries,
    desiredVersion: row.desired.version,
    reportedVersion: row.reported.version,
    boot: row.boot,
    seq: row.seq,
    lastSeen: row.lastSeenMs,
  });
}
