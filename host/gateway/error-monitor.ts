/**
 * Every refused frame, failed delivery and device error ends here as a typed code: counted, rated over the last minute and
 * kept with its context in a ring per (code, component). Two kinds of alert come out of it: a rate above its threshold, and
 * a condition that a component raises and clears itself (disk full, forwarder blocked). Reporting never throws.
 */
import type { ErrorContext } from "../../protocols/error.ts";
import { ERRORS, type ErrorCode, type Severity } from "../../protocols/table.ts";
import { recoveryOf } from "../core/recovery.ts";
import type { Clock, Dispose, Logger, Meter } from "../io/seams.ts";
import type { AlertView, ErrorView } from "./service.ts";

/** Kept of one code and component. */
export const LAST_MAX = 16;
/** Pairs of code and component; what comes beyond is counted under the component "other". */
export const PAIRS_MAX = 512;
/** Alerts kept, the active ones first of all. */
export const ALERTS_MAX = 200;
const BUCKETS = 6;
const BUCKET_MS = 10_000;
/** One line in the log for a pair in this time, however often it happens. */
const LOG_QUIET_MS = 10_000;

export interface Threshold {
  readonly code?: ErrorCode;
  readonly severity?: Severity;
  /** Raised at so many in the last minute, cleared when below. */
  readonly perMinute: number;
}

/** The first that matches counts. */
export const DEFAULT_THRESHOLDS: readonly Threshold[] = [
  { severity: "fatal", perMinute: 1 },
  { severity: "critical", perMinute: 1 },
  { severity: "error", perMinute: 10 },
  { severity: "warning", perMinute: 600 },
];

export interface Report {
  readonly component: string;
  readonly device?: string;
  readonly message?: string;
  /** Where it differs from the code's own, as an error record of a device may; those are counted apart. */
  readonly severity?: Severity;
  /** How often it happened, where one report stands for many. Default 1. */
  readonly times?: number;
  readonly context?: ErrorContext;
}

interface Pair {
  readonly code: ErrorCode;
  readonly component: string;
  readonly severity: Severity;
  readonly buckets: number[];
  bucketAt: number;
  count: number;
  lastMs: number;
  loggedMs: number;
  quiet: number;
  readonly last: ErrorView["last"][number][];
}

export class ErrorMonitor {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #logger: Logger;
  readonly #thresholds: readonly Threshold[];
  readonly #pairs = new Map<string, Pair>();
  readonly #active = new Map<string, AlertView>();
  readonly #past: AlertView[] = [];
  readonly #listeners = new Set<(alert: AlertView) => void>();
  #stop: Dispose;
  #total = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly meter: Meter;
    readonly logger: Logger;
    readonly thresholds?: readonly Threshold[];
  }) {
    this.#clock = options.clock;
    this.#meter = options.meter;
    this.#logger = options.logger;
    this.#thresholds = options.thresholds ?? DEFAULT_THRESHOLDS;
    this.#stop = this.#arm();
  }

  get total(): number {
    return this.#total;
  }

  report(code: ErrorCode, report: Report): void {
    const nowMs = this.#clock.monotonicMs();
    const pair = this.#pair(code, report);
    roll(pair, nowMs);
    const times = report.times ?? 1;
    pair.buckets[BUCKETS - 1] = (pair.buckets[BUCKETS - 1] ?? 0) + times;
    pair.count += times;
    this.#total += times;
    pair.lastMs = this.#clock.wallMs();
    pair.last.unshift({
      timeMs: pair.lastMs,
      message: report.message ?? ERRORS[code].help,
      context: report.context ?? {},
      ...(report.device === undefined ? {} : { device: report.device }),
    });
    if (pair.last.length > LAST_MAX) pair.last.pop();
    this.#meter.count("tardigrade_errors_total", { code }, times);
    this.#log(pair, report, nowMs);
    this.#check(pair, nowMs);
  }

  /** A condition that lasts. The id names it; raising it again does nothing. */
  raise(id: string, alert: { readonly code: ErrorCode; readonly message: string }): void {
    if (this.#active.has(id) || this.#active.size >= ALERTS_MAX) return;
    const raised: AlertView = {
      id,
      code: alert.code,
      severity: ERRORS[alert.code].severity,
      message: alert.message,
      raisedMs: this.#clock.wallMs(),
    };
    this.#active.set(id, raised);
    this.#logger.warn(`alert raised: ${alert.message}`, { code: alert.code, alert: id });
    this.#meter.gauge("tardigrade_alerts_active", this.#active.size);
    this.#tell(raised);
  }

  clear(id: string): void {
    const raised = this.#active.get(id);
    if (raised === undefined) return;
    this.#active.delete(id);
    const cleared: AlertView = { ...raised, clearedMs: this.#clock.wallMs() };
    this.#remember(cleared);
    this.#logger.info(`alert cleared: ${raised.message}`, { code: raised.code, alert: id });
    this.#meter.gauge("tardigrade_alerts_active", this.#active.size);
    this.#tell(cleared);
  }

  /** Alerts of an earlier life, from the log; what was still raised then counts as ended with it. */
  restore(alerts: readonly AlertView[]): void {
    const nowMs = this.#clock.wallMs();
    for (const alert of alerts.toReversed()) this.#remember({ clearedMs: nowMs, ...alert });
  }

  isRaised(id: string): boolean {
    return this.#active.has(id);
  }

  onAlert(listener: (alert: AlertView) => void): Dispose {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  errors(): readonly ErrorView[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#pairs.values()]
      .map((pair): ErrorView => {
        roll(pair, nowMs);
        return {
          code: pair.code,
          component: pair.component,
          severity: pair.severity,
          recovery: recoveryOf(pair),
          count: pair.count,
          perMinute: rate(pair),
          lastMs: pair.lastMs,
          last: pair.last.slice(),
        };
      })
      .sort((a, b) => b.lastMs - a.lastMs);
  }

  /** Active ones first, then the ended, newest first. */
  alerts(): readonly AlertView[] {
    const newest = (a: AlertView, b: AlertView): number => b.raisedMs - a.raisedMs;
    return [...[...this.#active.values()].sort(newest), ...this.#past];
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #pair(code: ErrorCode, report: Report): Pair {
    const severity = report.severity ?? ERRORS[code].severity;
    let component = report.component;
    let key = keyOf({ code, component, severity });
    let pair = this.#pairs.get(key);
    if (pair === undefined && this.#pairs.size >= PAIRS_MAX) {
      component = "other";
      key = keyOf({ code, component, severity });
      pair = this.#pairs.get(key);
    }
    if (pair === undefined) {
      pair = {
        code,
        component,
        severity,
        buckets: new Array<number>(BUCKETS).fill(0),
        bucketAt: 0,
        count: 0,
        lastMs: 0,
        loggedMs: Number.NEGATIVE_INFINITY,
        quiet: 0,
        last: [],
      };
      this.#pairs.set(key, pair);
    }
    return pair;
  }

  #log(pair: Pair, report: Report, nowMs: number): void {
    if (nowMs - pair.loggedMs < LOG_QUIET_MS) {
      pair.quiet += 1;
      return;
    }
    const fields = {
      code: pair.code,
      component: pair.component,
      ...(report.device === undefined ? {} : { device: report.device }),
      ...(pair.quiet === 0 ? {} : { alsoSinceLastLine: pair.quiet }),
      ...report.context,
    };
    pair.loggedMs = nowMs;
    pair.quiet = 0;
    const message = report.message ?? ERRORS[pair.code].help;
    if (pair.severity === "info") this.#logger.debug(message, fields);
    else if (pair.severity === "warning") this.#logger.warn(message, fields);
    else this.#logger.error(message, fields);
  }

  #threshold(pair: Pair): number {
    for (const threshold of this.#thresholds) {
      if (threshold.code !== undefined && threshold.code !== pair.code) continue;
      if (threshold.severity !== undefined && threshold.severity !== pair.severity) continue;
      return threshold.perMinute;
    }
    return Number.POSITIVE_INFINITY;
  }

  #check(pair: Pair, nowMs: number): void {
    const id = `rate ${keyOf(pair)}`;
    roll(pair, nowMs);
    const perMinute = rate(pair);
    if (perMinute >= this.#threshold(pair)) {
      this.raise(id, {
        code: pair.code,
        message: `${pair.code} in ${pair.component}: ${perMinute} in a minute. ${ERRORS[pair.code].help}`,
      });
    } else this.clear(id);
  }

  #arm(): Dispose {
    return this.#clock.alarm(
      BUCKET_MS,
      () => {
        const nowMs = this.#clock.monotonicMs();
        for (const pair of this.#pairs.values()) this.#check(pair, nowMs);
        this.#stop = this.#arm();
      },
      { background: true },
    );
  }

  #remember(alert: AlertView): void {
    this.#past.unshift(alert);
    if (this.#past.length > ALERTS_MAX) this.#past.pop();
  }

  #tell(alert: AlertView): void {
    for (const listener of this.#listeners) listener(alert);
  }
}

function keyOf({ code, component, severity }: Pick<Pair, "code" | "component" | "severity">): string {
  return severity === ERRORS[code].severity ? `${code} ${component}` : `${code} ${component} ${severity}`;
}

/** Moves the buckets on to `nowMs`; the last one is the current. */
function roll(pair: Pair, nowMs: number): void {
  const at = Math.floor(nowMs / BUCKET_MS);
  const steps = Math.min(at - pair.bucketAt, BUCKETS);
  pair.bucketAt = at;
  for (let step = 0; step < steps; step += 1) {
    pair.buckets.shift();
    pair.buckets.push(0);
  }
}

function rate(pair: Pair): number {
  let sum = 0;
  for (const count of pair.buckets) sum += count;
  return sum;
}
