/** What a gateway is made of and what it is when it runs. */
import type { Backoff } from "../core/policy/backoff.ts";
import type { Broker, Clock, Disk, Logger, Meter, Random, SerialPorts } from "../io/seams.ts";
import type { SegmentLogOptions } from "../store/segment-log.ts";
import type { StateStore } from "../store/state-store.ts";
import type { Audit } from "./access/audit.ts";
import type { SerialBinding } from "./device-links.ts";
import type { ErrorMonitor, Threshold } from "./error-monitor.ts";
import type { ForwarderOptions } from "./forwarder.ts";
import type { Resolution } from "./history-query.ts";
import type { StampClock } from "./ports.ts";
import type { ProxySource } from "./proxy-port.ts";
import type { GatewayService } from "./service.ts";
import type { OpenShare } from "./shared-site.ts";

export interface GatewayLimits {
  readonly devicesMax: number;
  /** A device that is silent for so long is offline. */
  readonly silenceMs: number;
  /** Least time between two publishes of a device's state. */
  readonly stateIntervalMs: number;
  /** The log is kept up to this size, and longer where a reader still needs it. */
  readonly logBytesMax: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  devicesMax: 5000,
  silenceMs: 60_000,
  stateIntervalMs: 250,
  logBytesMax: 4 * 1024 ** 3,
};

export interface GatewayOptions {
  readonly site: string;
  /** Shown in info(). */
  readonly version?: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly broker: Broker;
  readonly state: StateStore;
  /** How long readings are kept, by resolution. */
  readonly retentionMs?: Partial<Record<Resolution, number>>;
  /** The core's hybrid logical clock, begun above a floor; wall milliseconds and a counter when absent. Its bound is kept on the disk. */
  readonly stampClock?: (floor: bigint) => StampClock;
  readonly log?: Partial<Omit<SegmentLogOptions, "disk" | "clock" | "random" | "meter" | "logger">>;
  readonly forwarder?: Pick<ForwarderOptions, "link" | "target" | "folder" | "inFlightMax">;
  /** Devices at serial ports. A link whose device is silent for `silenceMs` (15 s by default) is opened again. */
  readonly serial?: {
    readonly ports: SerialPorts;
    readonly links: readonly SerialBinding[];
    readonly silenceMs?: number;
    /** Waits between openings of a port. */
    readonly backoff: Backoff;
  };
  /** Devices that do not speak our protocol. */
  readonly sources?: readonly ProxySource[];
  /** Where several gateways share the broker's devices; without it this one serves all. */
  readonly share?: OpenShare;
  /** Told of each command and change of a shadow that came over MQTT. */
  readonly audit?: Pick<Audit, "add">;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly limits?: Partial<GatewayLimits>;
  readonly thresholds?: readonly Threshold[];
  /** The log or the projection ended; the process should end too, a restart finds what is on the disk. */
  readonly onFatal?: (error: Error) => void;
}

export interface Gateway extends GatewayService {
  readonly errorMonitor: ErrorMonitor;
  /** Resolves when everything synced so far is applied to the state. For tests and orderly shutdowns. */
  settled(): Promise<void>;
  close(): Promise<void>;
}
