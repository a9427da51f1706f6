/**
 * What a running gateway offers to the layers above it (observe, api, cli): one interface, so that HTTP, the bridge topics
 * and the terminal ask the same questions and get the same answers.
 */

import type { Value } from "../../protocols/messages.generated.ts";
import type { ErrorCode, Recovery, Severity } from "../../protocols/table.ts";
import type { Dispose } from "../io/seams.ts";

export type DeviceState = "online" | "offline" | "unknown";

export interface MetricSummary {
  readonly name: string;
  readonly unit: string;
  /** Newest reading, absent until the first. */
  readonly value?: number;
  readonly timeMs?: number;
}

export interface DeviceSummary {
  readonly id: string;
  readonly state: DeviceState;
  /** The gateway that serves it, where it is another: what stands here is of before. */
  readonly servedBy?: string;
  readonly board: string;
  readonly app: string;
  readonly version: string;
  readonly boot: number;
  /** Highest durable sequence number of that boot. */
  readonly seq: number;
  readonly lastSeenMs: number;
  readonly metrics: readonly MetricSummary[];
  readonly commands: readonly string[];
  /** Why the device leaves its app stopped; absent while it runs. */
  readonly stopped?: string;
  /** As it last told them; mode 0 off, 1 input, 2 output, 3 PWM, 4 analog. */
  readonly pins: readonly { readonly pin: number; readonly mode: number; readonly value: number }[];
  readonly counts: {
    readonly readings: number;
    readonly messages: number;
    readonly duplicates: number;
    /** Readings that the device's ring dropped, as its drop records state. */
    readonly dropped: number;
    /** Sequence numbers that power cuts may have taken; an upper bound. */
    readonly possibleGaps: number;
    readonly errors: number;
  };
}

export interface ShadowView {
  readonly device: string;
  readonly desired: Readonly<Record<string, Value>>;
  readonly reported: Readonly<Record<string, Value>>;
  /** Desired entries that the device has not reported with the same value. */
  readonly delta: Readonly<Record<string, Value>>;
  /** Version of desired; rises by one at each change. */
  readonly version: number;
  readonly reportedVersion: number;
}

export interface CommandView {
  readonly device: string;
  readonly id: number;
  readonly name: string;
  readonly state: "sent" | "acked" | "failed" | "timeout";
  readonly code?: ErrorCode;
  readonly result?: Value;
  readonly sentMs: number;
  readonly endedMs?: number;
}

export interface ErrorView {
  readonly code: string;
  readonly component: string;
  readonly severity: Severity;
  /** What to do about it, by code and severity. */
  readonly recovery: Recovery;
  readonly count: number;
  readonly perMinute: number;
  readonly lastMs: number;
  /** Last of this code and component, newest first, bounded. */
  readonly last: readonly {
    readonly timeMs: number;
    readonly message: string;
    readonly device?: string;
    readonly context: Readonly<Record<string, string | number | boolean | undefined>>;
  }[];
}

export interface AlertView {
  readonly id: string;
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly raisedMs: number;
  readonly clearedMs?: number;
}

/** What happens, as it happens; the same stream feeds SSE and the bridge. `offset` is the log offset, for resuming. */
export type GatewayEvent =
  | { readonly type: "device"; readonly offset: number; readonly device: DeviceSummary }
  | {
      readonly type: "readings";
      readonly offset: number;
      readonly device: string;
      readonly readings: readonly {
        readonly metric: string;
        readonly timeMs: number;
        readonly value: number;
      }[];
    }
  | {
      readonly type: "event" | "log" | "error";
      readonly offset: number;
      readonly device: string;
      readonly timeMs: number;
      /** Hybrid logical clock, decimal: of the device where it stamps and its stamp counts, else of the record in the log. */
      readonly hlc: string;
      readonly hlcFrom: "device" | "gateway";
      readonly severity: string;
      readonly name: string;
      readonly text?: string;
      readonly value?: Value;
    }
  | { readonly type: "shadow"; readonly offset: number; readonly shadow: ShadowView }
  | { readonly type: "command"; readonly offset: number; readonly command: CommandView }
  | { readonly type: "alert"; readonly offset: number; readonly alert: AlertView };

export interface HistoryPoint {
  readonly timeMs: number;
  readonly value: number;
  /** Roll-ups only. */
  readonly count?: number;
  readonly min?: number;
  readonly max?: number;
}

/** What a device measured itself and reported as histograms, since `sinceMs`; values in the metric's unit, quantiles at most 3.1 % too high (or what the device chose). */
export interface HistogramView {
  readonly metric: string;
  readonly unit: string;
  readonly app: string;
  readonly version: string;
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Values a second, by the last report. */
  readonly perSecond: number;
}

/** The same over all devices that ever ran a firmware. */
export interface FirmwareHistogramView extends HistogramView {
  readonly sum: number;
  /** Devices that run it now, as far as they reported; perSecond is the sum over those that still do. */
  readonly devices: number;
}

export interface HealthView {
  readonly live: boolean;
  readonly ready: boolean;
  readonly state: "ok" | "degraded" | "failed";
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

export interface GatewayInfo {
  readonly site: string;
  readonly version: string;
  readonly startedMs: number;
  readonly log: {
    readonly startOffset: number;
    readonly syncedOffset: number;
    readonly segments: number;
    readonly tornBytes: number;
  };
  readonly forwarder?: {
    readonly target: string;
    readonly connected: boolean;
    readonly cursor: number;
    readonly backlogBytes: number;
    readonly forwarded: number;
  };
  /** Where several gateways share the site. */
  readonly shared?: {
    /** This one. */
    readonly gateway: string;
    readonly gateways: readonly string[];
    /** False during a handover. */
    readonly isSettled: boolean;
  };
  readonly totals: {
    readonly devices: number;
    readonly online: number;
    readonly messages: number;
    readonly readings: number;
    readonly duplicates: number;
    readonly dropped: number;
    readonly refused: number;
    readonly commandsSent: number;
    readonly commandsAcked: number;
  };
}

export interface GatewayService {
  info(): GatewayInfo;
  health(): HealthView;
  devices(): readonly DeviceSummary[];
  /** Undefined when unknown. */
  device(id: string): DeviceSummary | undefined;
  /** Throws DEVICE_UNKNOWN, REQUEST_INVALID. Times in ms since 1970; newest `limit` points (at most 10,000), oldest first. */
  history(query: {
    readonly device: string;
    readonly metric: string;
    readonly fromMs: number;
    readonly toMs: number;
    readonly resolution: "raw" | "minute" | "hour";
    readonly limit: number;
  }): readonly HistoryPoint[];
  /** Of a device, empty where none is known. */
  deviceHistograms(id: string): readonly HistogramView[];
  /** Over all devices, by firmware and metric; 64 at most. */
  histograms(): readonly FirmwareHistogramView[];
  shadow(id: string): ShadowView;
  /** null removes a key. Resolves when durable. Rejects with SHADOW_INVALID, SHADOW_VERSION, DEVICE_UNKNOWN. */
  setDesired(
    id: string,
    patch: Readonly<Record<string, Value | null>>,
    options?: { readonly ifVersion?: number },
  ): Promise<ShadowView>;
  /** Resolves when the device answered. Rejects with COMMAND_TIMEOUT, COMMAND_REJECTED, DEVICE_UNKNOWN, QUEUE_FULL. */
  command(
    id: string,
    command: {
      readonly name: string;
      readonly args?: Readonly<Record<string, Value>>;
      readonly timeoutMs?: number;
    },
  ): Promise<CommandView>;
  errors(): readonly ErrorView[];
  alerts(): readonly AlertView[];
  /** Events after the call; with `from`, first those still in the log since that offset (bounded, DISK reads). */
  events(listener: (event: GatewayEvent) => void, options?: { readonly from?: number }): Dispose;
}
