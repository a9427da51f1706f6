/**
 * Everything the gateway knows of a device, as its records told it: what the projection keeps in memory, saves in the state
 * store and rebuilds from the log. apply*() functions are the one place where a record becomes state; they know no clock, so
 * a rebuilt row equals the one that was lost.
 */
import type { Command, Hello, Telemetry, Value } from "../../protocols/messages.generated.ts";
import type { Gap } from "./record.ts";
import { newSession, rememberSession, type Session } from "./session.ts";

/** Boots whose clock is remembered, for messages that a warm reset left in the ring. */
export const BOOTS_MAX = 8;

/** How a boot's uptime maps to the wall clock, and which names its metric numbers had. */
export interface BootClock {
  readonly boot: number;
  /** Wall clock at uptime 0. */
  originMs: number;
  metrics: readonly { readonly name: string; readonly unit: string }[];
  /** What ran in that boot; absent in rows of older versions. */
  app?: string;
  version?: string;
}

export interface Reported {
  readonly version: number;
  readonly entries: Readonly<Record<string, Value>>;
}

export interface DeviceRow {
  readonly id: string;
  board: string;
  app: string;
  version: string;
  /** Of the newest hello. */
  helloBoot: number;
  uptimeUs: number;
  reason: number;
  commands: readonly string[];
  /** Number of the code for which the device leaves its app stopped, 0 while it runs; absent in rows of older versions. */
  stopped?: number;
  boots: BootClock[];
  recentSessions: number[];
  /** Watermark on disk. */
  boot: number;
  seq: number;
  lastSeenMs: number;
  /** Newest reading by metric. */
  values: Record<string, { readonly value: number; readonly timeMs: number; readonly unit: string }>;
  desired: Reported;
  reported: Reported;
  pins: readonly { readonly pin: number; readonly mode: number; readonly value: number }[];
  lastCommandId: number;
  counts: {
    readings: number;
    messages: number;
    duplicates: number;
    dropped: number;
    possibleGaps: number;
    errors: number;
  };
}

const EMPTY: Reported = { version: 0, entries: {} };

export function newRow(id: string): DeviceRow {
  return {
    id,
    board: "",
    app: "",
    version: "",
    helloBoot: 0,
    uptimeUs: 0,
    reason: 0,
    commands: [],
    stopped: 0,
    boots: [],
    recentSessions: [],
    boot: 0,
    seq: 0,
    lastSeenMs: 0,
    values: {},
    desired: EMPTY,
    reported: EMPTY,
    pins: [],
    lastCommandId: 0,
    counts: { readings: 0, messages: 0, duplicates: 0, dropped: 0, possibleGaps: 0, errors: 0 },
  };
}

export function encodeRow(row: DeviceRow): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(row));
}

export function decodeRow(bytes: Uint8Array): DeviceRow {
  return JSON.parse(new TextDecoder().decode(bytes)) as DeviceRow;
}

/** The session that a gateway begins with after a start: all of it durable, none of it open. */
export function sessionOf(row: DeviceRow): Session {
  const session = newSession(row.id);
  session.known = row.helloBoot > 0 || row.boot > 0;
  session.boot = row.boot;
  session.seq = row.seq;
  session.durableBoot = row.boot;
  session.durableSeq = row.seq;
  session.helloBoot = row.helloBoot;
  session.uptimeUs = row.uptimeUs;
  session.originMs = row.boots.find(({ boot }) => boot === row.helloBoot)?.originMs ?? 0;
  session.recentSessions.push(...row.recentSessions);
  return session;
}

export function applyHelloRecord(
  row: DeviceRow,
  record: { readonly hello: Hello; readonly boot: number; readonly seq: number; readonly replaced: boolean },
  wallMs: number,
): void {
  const { hello } = record;
  row.board = hello.board;
  row.app = hello.app;
  row.version = hello.version;
  row.reason = hello.reason;
  row.commands = hello.commands.map((command) => command.name);
  row.stopped = hello.stopped ?? 0;
  row.uptimeUs =
    hello.boot === row.helloBoot && !record.replaced
      ? Math.max(row.uptimeUs, hello.uptimeUs)
      : hello.uptimeUs;
  row.helloBoot = hello.boot;
  row.boot = record.boot;
  row.seq = record.seq;
  if (record.replaced) row.boots = [];
  // A later hello of the same boot maps better: it knows how far the device's crystal has strayed since.
  const originMs = wallMs - hello.uptimeUs / 1000;
  const known = row.boots.find((boot) => boot.boot === hello.boot);
  const { app, version, metrics } = hello;
  if (known === undefined) row.boots.push({ boot: hello.boot, originMs, metrics, app, version });
  else Object.assign(known, { originMs, metrics, app, version });
  if (row.boots.length > BOOTS_MAX) row.boots.shift();
  rememberSession(row.recentSessions, hello.session);
}

export function applyGap(row: DeviceRow, gap: Gap): void {
  // Of several boots only the last one's bound is known. What another gateway of the site stored is no loss.
  if (gap.reason !== "elsewhere")
    row.counts.possibleGaps += gap.boot === gap.toBoot ? gap.to - gap.from + 1 : gap.to;
  if (gap.toBoot === row.boot && gap.to > row.seq) row.seq = gap.to;
}

/** Moves the watermark. False for a record at or below it, which a whole log does not have. */
export function applySequence(
  row: DeviceRow,
  message: { readonly boot: number; readonly seq: number; readonly uptimeUs: number },
): boolean {
  if (message.boot < row.boot || (message.boot === row.boot && message.seq <= row.seq)) return false;
  row.boot = message.boot;
  row.seq = message.seq;
  row.counts.messages += 1;
  if (message.boot === row.helloBoot && message.uptimeUs > row.uptimeUs) row.uptimeUs = message.uptimeUs;
  return true;
}

/**
 * When something of a boot happened. A boot that never said hello to us (the gateway was away and a warm reset came before it
 * was back) is taken to have ended where the next one began; `uptimeUs` is then the best guess of its length.
 */
export function timeOf(row: DeviceRow, boot: number, uptimeUs: number): number {
  return Math.round(bootClock(row, boot, uptimeUs).originMs + uptimeUs / 1000);
}

function bootClock(row: DeviceRow, boot: number, uptimeUs: number): BootClock {
  const known = row.boots.find((clock) => clock.boot === boot);
  if (known !== undefined) return known;
  const next = row.boots.find((clock) => clock.boot > boot) ?? row.boots.at(-1);
  const guess: BootClock = {
    boot,
    originMs: (next?.originMs ?? row.lastSeenMs) - uptimeUs / 1000,
    metrics: next?.metrics ?? [],
    ...(next?.app === undefined ? {} : { app: next.app }),
    ...(next?.version === undefined ? {} : { version: next.version }),
  };
  // Kept, so that the boot's other messages stand in their right distance to the first.
  row.boots.push(guess);
  row.boots.sort((a, b) => a.boot - b.boot);
  if (row.boots.length > BOOTS_MAX) row.boots.shift();
  return guess;
}

export interface TimedReading {
  readonly metric: string;
  readonly unit: string;
  readonly timeMs: number;
  readonly value: number;
}

/** A batch with names and times. A metric that the hello did not list is named by its number. */
export function readingsOf(row: DeviceRow, message: Telemetry): TimedReading[] {
  const clock = bootClock(row, message.boot, message.uptimeUs);
  return message.readings.map((reading) => {
    const metric = clock.metrics[reading.metric];
    return {
      metric: metric?.name ?? `metric-${reading.metric}`,
      unit: metric?.unit ?? "",
      timeMs: Math.round(clock.originMs + (message.uptimeUs + reading.offsetUs) / 1000),
      value: reading.value,
    };
  });
}

/** Whose and when a histogram is that a device reported. */
export interface ReportOrigin {
  readonly metric: string;
  readonly unit: string;
  readonly app: string;
  readonly version: string;
  readonly timeMs: number;
  /** When that boot began. */
  readonly bootMs: number;
}

export function reportOriginOf(row: DeviceRow, message: Telemetry, metric: number): ReportOrigin {
  const clock = bootClock(row, message.boot, message.uptimeUs);
  const named = clock.metrics[metric];
  return {
    metric: named?.name ?? `metric-${metric}`,
    unit: named?.unit ?? "",
    app: clock.app ?? row.app,
    version: clock.version ?? row.version,
    timeMs: Math.round(clock.originMs + message.uptimeUs / 1000),
    bootMs: Math.round(clock.originMs),
  };
}

export function applyReadings(row: DeviceRow, readings: readonly TimedReading[]): void {
  row.counts.readings += readings.length;
  for (const { metric, unit, timeMs, value } of readings) {
    if (metric === "__proto__") continue;
    const known = row.values[metric];
    if (known === undefined || timeMs >= known.timeMs) row.values[metric] = { value, timeMs, unit };
  }
}

export function entriesOf(
  list: readonly { readonly key: string; readonly value: Value }[],
): Record<string, Value> {
  const entries: Record<string, Value> = {};
  for (const { key, value } of list) if (key !== "__proto__") entries[key] = value;
  return entries;
}

export function applyCommand(row: DeviceRow, command: Command): void {
  if (command.id > row.lastCommandId) row.lastCommandId = command.id;
}
