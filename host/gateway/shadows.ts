/**
 * Shadows: what a device should be (desired), what it says it is (reported), and the difference. A change of desired is in the
 * log before it is sent; it is sent whole, after each hello and each change, and again until the device reports its version.
 */
import { TardigradeError } from "../../protocols/error.ts";
import { encodeMessage } from "../../protocols/message.ts";
import type { Message, Shadow, Value } from "../../protocols/messages.generated.ts";
import { LIMITS } from "../../protocols/table.ts";
import type { Clock, Dispose } from "../io/seams.ts";
import type { DeviceRow, Reported } from "./device-row.ts";
import { entriesOf } from "./device-row.ts";
import type { Ledger } from "./ledger.ts";
import type { ShadowView } from "./service.ts";

/** Desired is sent again after this long without the device reporting it. */
export const REPEAT_MS = 5000;
/** Of a stamp in a message: key, head, 64 bits. */
const STAMP_BYTES = 10;

export type Patch = Readonly<Record<string, Value | null>>;

export interface ShadowsOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly row: (device: string) => DeviceRow | undefined;
  readonly send: (device: string, message: Message) => void;
  /** True when the device has a session, so that sending makes sense. */
  readonly isOpen: (device: string) => boolean;
  /**
   * Versions are above it: where another gateway may have set the device's state meanwhile, sharedVersion() of the wall clock, which this one has in common with it. 0 for
   * one that is alone.
   */
  readonly versionFloor: () => number;
}

export class Shadows {
  readonly #options: ShadowsOptions;
  /** Desired that is in the log but not yet on disk; a further change builds on it. */
  readonly #accepted = new Map<string, Reported>();
  /** Devices whose reported version is behind, and when desired was last sent to them. */
  readonly #behind = new Map<string, number>();
  #timer: Dispose | undefined;

  constructor(options: ShadowsOptions) {
    this.#options = options;
  }

  view(device: string): ShadowView {
    const row = this.#row(device);
    const delta: Record<string, Value> = {};
    for (const [key, value] of Object.entries(row.desired.entries)) {
      if (row.reported.entries[key] !== value) delta[key] = value;
    }
    return {
      device,
      desired: row.desired.entries,
      reported: row.reported.entries,
      delta,
      version: row.desired.version,
      reportedVersion: row.reported.version,
    };
  }

  /** Resolves when the change is on disk. Rejects with SHADOW_INVALID, SHADOW_VERSION, DEVICE_UNKNOWN, QUEUE_FULL. */
  async setDesired(
    device: string,
    patch: Patch,
    options: { readonly ifVersion?: number } = {},
  ): Promise<ShadowView> {
    const row = this.#row(device);
    const before = this.#accepted.get(device) ?? row.desired;
    if (options.ifVersion !== undefined && options.ifVersion !== before.version) {
      throw new TardigradeError(
        "SHADOW_VERSION",
        `The shadow of ${device} has version ${before.version}, not ${options.ifVersion}; read it and try again.`,
        { context: { component: "shadows", device } },
      );
    }
    const entries = patched(before.entries, patch, device);
    const shadow: Shadow = {
      kind: "shadow",
      role: 0,
      version: Math.max(before.version, row.reported.version, this.#options.versionFloor()) + 1,
      entries: Object.entries(entries).map(([key, value]) => ({ key, value })),
    };
    const offset = this.#options.ledger.append({ type: "desired", shadow }, { device });
    const accepted: Reported = { version: shadow.version, entries };
    this.#accepted.set(device, accepted);
    try {
      await this.#options.ledger.durable(offset);
    } finally {
      if (this.#accepted.get(device) === accepted) this.#accepted.delete(device);
    }
    return { ...this.view(device), ...viewOf(accepted, row) };
  }

  /** After a hello, a change of desired, or a report of the device. */
  reconcile(device: string): void {
    const row = this.#options.row(device);
    if (row === undefined || row.desired.version <= row.reported.version || row.desired.version === 0) {
      this.#behind.delete(device);
      return;
    }
    this.#send(row);
    this.#arm();
  }

  close(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #send(row: DeviceRow): void {
    this.#behind.set(row.id, this.#options.clock.monotonicMs());
    if (!this.#options.isOpen(row.id)) return;
    const shadow: Shadow = {
      kind: "shadow",
      role: 0,
      version: row.desired.version,
      entries: Object.entries(row.desired.entries).map(([key, value]) => ({ key, value })),
    };
    // At or above the stamp of its record. A shadow of sixteen of the longest names and texts has no room for it.
    const hasRoom = encodeMessage(shadow).length + STAMP_BYTES <= LIMITS.MESSAGE_BYTES_MAX;
    this.#options.send(row.id, hasRoom ? { ...shadow, hlc: this.#options.ledger.lastStamp } : shadow);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#behind.size === 0) return;
    this.#timer = this.#options.clock.alarm(
      REPEAT_MS,
      () => {
        this.#timer = undefined;
        this.#repeat();
        this.#arm();
      },
      { background: true },
    );
  }

  #repeat(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [device, sentMs] of this.#behind) {
      const row = this.#options.row(device);
      if (row === undefined || row.desired.version <= row.reported.version) this.#behind.delete(device);
      else if (nowMs - sentMs >= REPEAT_MS) this.#send(row);
    }
  }

  #row(device: string): DeviceRow {
    const row = this.#options.row(device);
    if (row !== undefined) return row;
    throw new TardigradeError("DEVICE_UNKNOWN", `No device "${device}" has said hello to this gateway.`, {
      context: { component: "shadows", device },
    });
  }
}

function viewOf(desired: Reported, row: DeviceRow): Pick<ShadowView, "desired" | "delta" | "version"> {
  const delta: Record<string, Value> = {};
  for (const [key, value] of Object.entries(desired.entries)) {
    if (row.reported.entries[key] !== value) delta[key] = value;
  }
  return { desired: desired.entries, delta, version: desired.version };
}

function patched(
  before: Readonly<Record<string, Value>>,
  patch: Patch,
  device: string,
): Readonly<Record<string, Value>> {
  const entries = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(patch)) {
    const problem = problemOf(key, value);
    if (problem !== undefined) throw invalid(`"${key.slice(0, 40)}" ${problem}.`, device);
    if (value === null) entries.delete(key);
    else entries.set(key, value);
  }
  if (entries.size > LIMITS.SHADOW_ENTRIES_MAX) {
    throw invalid(`a shadow has at most ${LIMITS.SHADOW_ENTRIES_MAX} keys.`, device);
  }
  return entriesOf([...entries].map(([key, value]) => ({ key, value })));
}

function invalid(problem: string, device: string): TardigradeError {
  return new TardigradeError("SHADOW_INVALID", `The shadow of ${device} was not changed: ${problem}`, {
    context: { component: "shadows", device },
  });
}

/** What is wrong with a name or value that comes from outside; also for the arguments of a command. */
export function problemOf(key: string, value: unknown): string | undefined {
  const bytes = (text: string): number => new TextEncoder().encode(text).length;
  if (key === "" || key === "__proto__") return "is no name for a value";
  if (!key.isWellFormed() || bytes(key) > LIMITS.NAME_BYTES_MAX)
    return `must have at most ${LIMITS.NAME_BYTES_MAX} bytes of UTF-8`;
  if (value === null || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : "must be a finite number";
  if (typeof value !== "string") return "must be a boolean, a number, a text or null";
  if (value.isWellFormed() && bytes(value) <= LIMITS.TEXT_VALUE_BYTES_MAX) return undefined;
  return `must be a text of at most ${LIMITS.TEXT_VALUE_BYTES_MAX} bytes of UTF-8`;
}

/** 2024-01-01, from which eighths of a second last in 32 bits until 2041. */
const SHARED_EPOCH_MS = 1_704_067_200_000;

/** The higher the later, at any gateway. */
export function sharedVersion(wallMs: number): number {
  return Math.min(Math.max(0, Math.floor((wallMs - SHARED_EPOCH_MS) / 125)), SHARED_VERSION_MAX);
}
/** Room for as many changes more. */
const SHARED_VERSION_MAX = 0xf000_0000;
