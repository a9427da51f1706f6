/**
 * How a device that does not speak our protocol enters the gateway: something that speaks its own (Firmata, the JSON of a smart
 * plug) tells what it hears through a ProxyPort and is told what to do through ProxyHandlers. The port's other side is a device
 * like every other: logged before it counts, with a shadow, commands, presence and history.
 */
import type { Value } from "../../protocols/messages.generated.ts";
import type { Broker, Clock, Logger, Meter, Random } from "../io/seams.ts";
import type { ErrorMonitor } from "./error-monitor.ts";

export interface ProxyDescription {
  readonly board: string;
  readonly app: string;
  readonly version: string;
  /** METRICS_MAX at most; those of an earlier description keep their places, new ones come after. */
  readonly metrics: readonly { readonly name: string; readonly unit: string }[];
  /** COMMANDS_MAX at most. */
  readonly commands: readonly string[];
}

export interface ProxyPort {
  /** What the device is; a changed description is told by a new hello. Throws REQUEST_INVALID beyond the protocol's limits. */
  describe(description: ProxyDescription): void;
  /** A reading now, of a described metric; others, and what is no finite number, are counted and left out. */
  reading(metric: string, value: number): void;
  /** Whole reported state. It answers desired when every entry that both have is the same. */
  report(entries: Readonly<Record<string, Value>>): void;
  /** The device was heard. */
  heard(): void;
  /** The device is gone. */
  offline(): void;
}

export interface ProxyHandlers {
  /** Desired state to apply, again every few seconds until a report() matches it. */
  onDesired(entries: Readonly<Record<string, Value>>): void;
  /** Resolves with a result, or rejects with a TardigradeError (COMMAND_FAILED, ARGUMENT, COMMAND_UNKNOWN). */
  /** Another gateway speaks for the device from now on; the port is dead. */
  onReleased?(): void;
  onCommand(name: string, args: Readonly<Record<string, Value>>): Promise<Value | undefined>;
}

/** What a source of such devices gets of the gateway. */
export interface ProxyHost {
  readonly site: string;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  readonly logger: Logger;
  /**
   * Throws DEVICE_ID_INVALID, DEVICE_LIMIT, or CONFIG_INVALID when another link speaks for that device. `silenceMs` is after
   * which silence it counts as offline, the gateway's own bound when absent; Infinity for one whose last will is the judge.
   */
  device(id: string, handlers: ProxyHandlers, options?: ProxyOptions): ProxyPort;
  /** False for a device that another gateway of the site speaks for. */
  serves(id: string): boolean;
}

export interface ProxyOptions {
  readonly silenceMs?: number;
  /** It hangs at a port of this machine: no other gateway can reach it. */
  readonly isLocal?: boolean;
}

export interface ProxySource {
  open(host: ProxyHost): void | Promise<void>;
  close(): void | Promise<void>;
}
