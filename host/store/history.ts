/**
 * Readings by device, metric and time: raw for days, rolled up to minutes for weeks and to hours for years.
 *
 * Keys begin with the time bucket and not with the series:
 *
 *   history/raw/<minute>/<device>/<metric>      history/minute/<minute>/...      history/hour/<hour>/...
 *
 * Writes come from all devices at the same time, so what one flush touches stands together: 2,000 series fill
 * some 250 pages of LMDB's, where keys by series would touch a page or two for each of 6,000 keys, and every
 * touched page is written anew. What is too old stands at the front, so expiry deletes a range. The price is
 * a look-up for each bucket of a query, a microsecond each, of which retention bounds the number.
 *
 * Each flush costs a read and a write for each series, minute and hour that it touches, however many readings
 * it brings. A projection therefore collects readings and hands them over together, in the transaction that
 * also notes its place in the log.
 */
import {
  addToRollup,
  appendRaw,
  decodeRaw,
  decodeRollup,
  emptyRollup,
  encodeRollup,
  type RawEntry,
} from "./history-codec.ts";
import type { StateReader, StateTransaction } from "./state-store.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const BUCKET_DIGITS = 10;
/** Latest time that a bucket's number has room for, and that a Date takes. */
const TIME_MS_MAX = 8.64e15;

/** Raw readings of one series in one minute; further ones go into the roll-ups only. */
export const RAW_READINGS_PER_MINUTE_MAX = 6_000;
/** Look-ups of one query; beyond it the answer says where to go on. */
export const QUERY_LOOKUPS_MAX = 20_000;
const QUERY_POINTS_DEFAULT = 10_000;
const EXPIRE_KEYS_DEFAULT = 2_000;

export type Resolution = "raw" | "minute" | "hour";

export interface Reading {
  readonly device: string;
  readonly metric: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly value: number;
}

export interface HistoryOptions {
  /** How long each resolution is kept. Two days, thirty days and two years by default. */
  readonly retentionMs?: Partial<Record<Resolution, number>>;
}

export interface HistoryQuery {
  readonly device: string;
  readonly metric: string;
  /** Included; the end is not. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Most points of an answer; 10,000 by default. */
  readonly limit?: number;
}

export interface RawPoint {
  readonly timeMs: number;
  readonly value: number;
}

export interface RollupPoint {
  /** Start of the minute or hour. */
  readonly timeMs: number;
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly last: number;
}

export interface HistoryPage<Point> {
  /** Oldest first. */
  readonly points: Point[];
  /** Where to go on, as `fromMs`; undefined when the range is exhausted. */
  readonly nextMs: number | undefined;
}

export interface AppendResult {
  readonly stored: number;
  /** Left out, because their time is no time. */
  readonly refused: number;
  /** In the roll-ups only, because their minute is full. */
  readonly rawFull: number;
}

interface Series {
  readonly key: string;
  /** Readings by minute. */
  readonly minutes: Map<number, Reading[]>;
}

export class History {
  readonly #retentionMs: Record<Resolution, number>;

  constructor(options: HistoryOptions = {}) {
    this.#retentionMs = { raw: 2 * DAY_MS, minute: 30 * DAY_MS, hour: 730 * DAY_MS, ...options.retentionMs };
  }

  /** Adds one reading. For more than a few a second, collect them for appendAll(). */
  append(transaction: StateTransaction, reading: Reading): AppendResult {
    return this.appendAll(transaction, [reading]);
  }

  /** Adds readings of any series, in any order of time. */
  appendAll(transaction: StateTransaction, readings: readonly Reading[]): AppendResult {
    const { series, refused } = groupBySeries(readings);
    let rawFull = 0;
    for (const one of series.values()) {
      for (const [minute, list] of one.minutes) rawFull += appendMinute(transaction, one.key, minute, list);
      appendHours(transaction, one);
    }
    return { stored: readings.length - refused, refused, rawFull };
  }

  raw(reader: StateReader, query: HistoryQuery): HistoryPage<RawPoint> {
    const points: RawPoint[] = [];
    const limit = query.limit ?? QUERY_POINTS_DEFAULT;
    const series = seriesKey(query.device, query.metric);
    const nextMs = walkBuckets(reader, "raw", query, (minute) => {
      const chunk = reader.get(keyOf("raw", minute, series));
      if (chunk === undefined) return undefined;
      for (const { ms, value } of decodeRaw(chunk)) {
        const timeMs = minute * MINUTE_MS + ms;
        if (timeMs < query.fromMs || timeMs >= query.toMs) continue;
        // Readings of one instant are not torn apart: going on from nextMs would repeat or lose some.
        if (points.length >= limit && timeMs !== points.at(-1)?.timeMs) return timeMs;
        points.push({ timeMs, value });
      }
      return undefined;
    });
    return { points, nextMs };
  }

  /** Minutes or hours that begin in the range. */
  rollup(
    reader: StateReader,
    query: HistoryQuery & { readonly resolution: "minute" | "hour" },
  ): HistoryPage<RollupPoint> {
    const points: RollupPoint[] = [];
    const limit = query.limit ?? QUERY_POINTS_DEFAULT;
    const series = seriesKey(query.device, query.metric);
    const bucketMs = bucketMsOf(query.resolution);
    const nextMs = walkBuckets(reader, query.resolution, query, (bucket) => {
      const timeMs = bucket * bucketMs;
      if (timeMs < query.fromMs) return undefined;
      const bytes = reader.get(keyOf(query.resolution, bucket, series));
      if (bytes === undefined) return undefined;
      if (points.length >= limit) return timeMs;
      const { count, min, max, sum, last } = decodeRollup(bytes);
      if (count > 0) points.push({ timeMs, count, min, max, sum, last });
      return undefined;
    });
    return { points, nextMs };
  }

  /** Either of the two. A raw reading counts as a roll-up of one. */
  query(
    reader: StateReader,
    query: HistoryQuery & { readonly resolution: Resolution },
  ): HistoryPage<RollupPoint> {
    const { resolution } = query;
    if (resolution !== "raw") return this.rollup(reader, { ...query, resolution });
    const { points, nextMs } = this.raw(reader, query);
    const wide = ({ timeMs, value }: RawPoint) => ({
      timeMs,
      count: 1,
      min: value,
      max: value,
      sum: value,
      last: value,
    });
    return { points: points.map(wide), nextMs };
  }

  /**
   * Deletes at most `keysMax` entries that are past their time. Returns how many; a full answer asks for
   * another call.
   */
  expire(transaction: StateTransaction, nowMs: number, keysMax = EXPIRE_KEYS_DEFAULT): number {
    let deleted = 0;
    for (const resolution of ["raw", "minute", "hour"] as const) {
      const oldest = Math.floor((nowMs - this.#retentionMs[resolution]) / bucketMsOf(resolution));
      if (oldest <= 0 || deleted >= keysMax) continue;
      const entries = transaction.range({
        from: prefixOf(resolution),
        to: prefixOf(resolution) + digitsOf(oldest),
        limit: keysMax - deleted,
      });
      for (const [key] of entries) {
        transaction.delete(key);
        deleted += 1;
      }
    }
    return deleted;
  }
}

function groupBySeries(readings: readonly Reading[]): { series: Map<string, Series>; refused: number } {
  const series = new Map<string, Series>();
  let refused = 0;
  for (const reading of readings) {
    if (!(reading.timeMs >= 0 && reading.timeMs <= TIME_MS_MAX)) {
      refused += 1;
      continue;
    }
    const key = seriesKey(reading.device, reading.metric);
    let one = series.get(key);
    if (one === undefined) {
      one = { key, minutes: new Map() };
      series.set(key, one);
    }
    const minute = Math.floor(reading.timeMs / MINUTE_MS);
    const list = one.minutes.get(minute);
    if (list === undefined) one.minutes.set(minute, [reading]);
    else list.push(reading);
  }
  return { series, refused };
}

/** Raw chunk and minute roll-up; returns how many readings the chunk had no room for. */
function appendMinute(
  transaction: StateTransaction,
  series: string,
  minute: number,
  readings: readonly Reading[],
): number {
  const entries: RawEntry[] = [];
  const rollupKey = keyOf("minute", minute, series);
  const held = transaction.get(rollupKey);
  const rollup = held === undefined ? emptyRollup() : decodeRollup(held);
  for (const { timeMs, value } of readings) {
    const ms = Math.floor(timeMs) - minute * MINUTE_MS;
    entries.push({ ms, value });
    addToRollup(rollup, ms, value);
  }
  const rawKey = keyOf("raw", minute, series);
  const { chunk, left } = appendRaw(transaction.get(rawKey), entries, RAW_READINGS_PER_MINUTE_MAX);
  transaction.put(rawKey, chunk);
  transaction.put(rollupKey, encodeRollup(rollup));
  return left;
}

function appendHours(transaction: StateTransaction, series: Series): void {
  const hours = new Map<number, Reading[]>();
  for (const [minute, readings] of series.minutes) {
    const hour = Math.floor(minute / 60);
    const list = hours.get(hour);
    if (list === undefined) hours.set(hour, [...readings]);
    else list.push(...readings);
  }
  for (const [hour, readings] of hours) {
    const key = keyOf("hour", hour, series.key);
    const held = transaction.get(key);
    const rollup = held === undefined ? emptyRollup() : decodeRollup(held);
    for (const { timeMs, value } of readings) addToRollup(rollup, Math.floor(timeMs) - hour * HOUR_MS, value);
    transaction.put(key, encodeRollup(rollup));
  }
}

/**
 * Visits the buckets of a range that may exist, oldest first, until one visit says where to go on or the
 * look-ups are used up. Returns that time, or undefined at the end.
 */
function walkBuckets(
  reader: StateReader,
  resolution: Resolution,
  query: HistoryQuery,
  visit: (bucket: number) => number | undefined,
): number | undefined {
  const bucketMs = bucketMsOf(resolution);
  const bounds = boundsOf(reader, resolution);
  if (bounds === undefined) return undefined;
  const first = Math.max(Math.floor(query.fromMs / bucketMs), bounds.first);
  const last = Math.min(Math.ceil(query.toMs / bucketMs) - 1, bounds.last);
  for (let bucket = first; bucket <= last; bucket += 1) {
    if (bucket - first >= QUERY_LOOKUPS_MAX) return bucket * bucketMs;
    const nextMs = visit(bucket);
    if (nextMs !== undefined) return nextMs;
  }
  return undefined;
}

/** Oldest and newest bucket of any series. */
function boundsOf(reader: StateReader, resolution: Resolution): { first: number; last: number } | undefined {
  const prefix = prefixOf(resolution);
  // The character behind "/" ends the range of keys that begin with the prefix.
  const span = { from: prefix, to: `${prefix.slice(0, -1)}0`, limit: 1 };
  const bucketIn = (key: string): number => Number(key.slice(prefix.length, prefix.length + BUCKET_DIGITS));
  const [first] = reader.range(span);
  const [last] = reader.range({ ...span, reverse: true });
  if (first === undefined || last === undefined) return undefined;
  return { first: bucketIn(first[0]), last: bucketIn(last[0]) };
}

function prefixOf(resolution: Resolution): string {
  return `history/${resolution}/`;
}

function keyOf(resolution: Resolution, bucket: number, series: string): string {
  return `history/${resolution}/${digitsOf(bucket)}/${series}`;
}

function digitsOf(bucket: number): string {
  return String(bucket).padStart(BUCKET_DIGITS, "0");
}

/** A metric's name may hold any character; escaped, it cannot be taken for a part of another key. */
function seriesKey(device: string, metric: string): string {
  return `${device}/${encodeURIComponent(metric.toWellFormed())}`;
}

function bucketMsOf(resolution: Resolution): number {
  return resolution === "hour" ? HOUR_MS : MINUTE_MS;
}
