/**
 * Which devices this gateway serves. Alone it serves all; where several gateways share a site's broker, each serves what its share gives it
 * (host/cluster/ownership), and what hangs at its own ports.
 *
 * What a gateway does not serve it does not hear: it lets messages, wills, `/set` and `/get` of other gateways' devices pass, and refuses commands for them. It
 * speaks for the whole site on `bridge/...` while it serves the name "bridge", which no device has.
 *
 * Letting go: what was accepted is on disk and acknowledged first, so that the next gateway is not sent it again; for DRAIN_MS at most, since a gateway whose
 * disk hangs is one that should let go.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Clock, Dispose } from "../io/seams.ts";
import type { Commands } from "./commands.ts";
import type { Ingest } from "./ingest.ts";
import type { PresenceBoard } from "./presence.ts";
import type { Proxies } from "./proxies.ts";

/** Decides. Asked for each message, so it answers at once. */
export interface DeviceShare {
  serves(device: string): boolean;
  /** The gateway that serves it or will; undefined where none is known. */
  owner(device: string): string | undefined;
  state(): ShareState;
  /** Devices may have come. */
  onGained(listener: () => void): Dispose;
  /** Lets go of all. */
  close(): Promise<{
    /** No other gateway shares the site. */
    readonly isLast: boolean;
  }>;
}

export interface ShareState {
  /** This one. */
  readonly gateway: string;
  /** All that share the site. */
  readonly gateways: readonly string[];
  /** False during a handover, and while nothing is known. */
  readonly isSettled: boolean;
}

/** What a share has to know of the gateway. */
export interface ShareHost {
  /** Devices that are served now, or were. */
  readonly devices: () => Iterable<string>;
  /** Those that only this gateway can reach. */
  readonly local: () => Iterable<string>;
  /** They are served no more. Resolves when all is done for them. */
  readonly release: (devices: readonly string[]) => Promise<void>;
}

export type OpenShare = (host: ShareHost) => DeviceShare;

export interface SharedSiteParts {
  readonly clock: Clock;
  readonly ingest: Pick<Ingest, "sessions" | "release" | "askHellos">;
  readonly presence: Pick<PresenceBoard, "leave">;
  readonly commands: Pick<Commands, "abandon">;
  readonly proxies: Pick<Proxies, "flush" | "release">;
  readonly onGained: () => void;
  /** The device is another's now. */
  readonly onReleased: (device: string) => void;
}

/** The name under which one gateway speaks for the site. */
const SPOKESMAN = "bridge";
export const DRAIN_MS = 2_000;
const LOOK_MS = 10;

export class SharedSite {
  readonly #local = new Set<string>();
  #share: DeviceShare | undefined;
  #parts: SharedSiteParts | undefined;
  #isLast = true;

  /** At a port of this machine: nobody else can serve it. */
  keepLocal(device: string): void {
    this.#local.add(device);
  }

  open(openShare: OpenShare | undefined, parts: SharedSiteParts): void {
    if (openShare === undefined) return;
    this.#parts = parts;
    const share = openShare({
      devices: () => parts.ingest.sessions.keys(),
      local: () => this.#local,
      release: (devices) => this.#release(devices.filter((device) => !this.#local.has(device))),
    });
    this.#share = share;
    this.#isLast = false;
    share.onGained(() => {
      parts.ingest.askHellos((device) => this.serves(device));
      parts.onGained();
    });
  }

  get isShared(): boolean {
    return this.#share !== undefined;
  }
  /** Whether it speaks for the site on bridge/... */
  get isSpokesman(): boolean {
    return this.serves(SPOKESMAN);
  }
  /** Alone, or the last that closed. */
  get isLast(): boolean {
    return this.#isLast;
  }

  serves(device: string): boolean {
    return this.#share === undefined || this.#local.has(device) || this.#share.serves(device);
  }

  /** Throws DEVICE_ELSEWHERE. */
  mustServe(device: string): void {
    if (!this.serves(device)) throw elsewhere(device, this.#share?.owner(device));
  }

  /** The gateway that serves it, where it is another. */
  servedBy(device: string): string | undefined {
    return this.serves(device) ? undefined : this.#share?.owner(device);
  }

  state(): ShareState | undefined {
    return this.#share?.state();
  }

  async close(): Promise<void> {
    const closed = await this.#share?.close();
    if (closed !== undefined) this.#isLast = closed.isLast;
  }

  async #release(devices: readonly string[]): Promise<void> {
    const { clock, ingest, presence, commands, proxies, onReleased } = this.#parts as SharedSiteParts;
    for (const device of devices) {
      proxies.flush(device);
      presence.leave(device);
      commands.abandon(device, elsewhere(device, this.#share?.owner(device)));
    }
    const untilMs = clock.monotonicMs() + DRAIN_MS;
    const isPending = (device: string): boolean => (ingest.sessions.get(device)?.pendingCount ?? 0) > 0;
    while (devices.some(isPending) && clock.monotonicMs() < untilMs)
      await new Promise<void>((resolve) => clock.alarm(LOOK_MS, resolve));
    for (const device of devices) {
      proxies.release(device);
      ingest.release(device);
      onReleased(device);
    }
  }
}

function elsewhere(device: string, owner: string | undefined): TardigradeError {
  const message =
    owner === undefined
      ? `No gateway is known to serve ${device} now; try again soon.`
      : `${device} is served by gateway "${owner}"; ask there.`;
  return new TardigradeError("DEVICE_ELSEWHERE", message, {
    context: { component: "shared-site", device, ...(owner === undefined ? {} : { gateway: owner }) },
  });
}
