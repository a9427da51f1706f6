/**
 * Who is there. A device is online while it is heard; its last will (`availability`, a hint only) or silence for `silenceMs`
 * make it offline.
 */
import type { Clock, Dispose } from "../io/seams.ts";
import type { DeviceState } from "./service.ts";

interface Presence {
  state: DeviceState;
  heardMs: number;
}

/** How often silence is looked for, in parts of the shortest silence that means something. */
const LOOKS = 4;

export class PresenceBoard {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #onChange: (device: string, state: DeviceState) => void;
  readonly #devices = new Map<string, Presence>();
  /** Devices whose silence means something sooner or later than others'. */
  readonly #silences = new Map<string, number>();
  #stop: Dispose;
  #online = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly silenceMs: number;
    readonly onChange: (device: string, state: DeviceState) => void;
  }) {
    this.#clock = options.clock;
    this.#silenceMs = options.silenceMs;
    this.#onChange = options.onChange;
    this.#stop = this.#arm();
  }

  get onlineCount(): number {
    return this.#online;
  }

  state(device: string): DeviceState {
    return this.#devices.get(device)?.state ?? "unknown";
  }

  heard(device: string): void {
    const presence = this.#devices.get(device);
    const nowMs = this.#clock.monotonicMs();
    if (presence === undefined) this.#devices.set(device, { state: "unknown", heardMs: nowMs });
    else presence.heardMs = nowMs;
    if (presence?.state !== "online") this.#set(device, "online");
  }

  /** The device's last will, or its own word. Only a device that was heard can be offline. */
  hint(device: string, word: string): void {
    if (word === "offline" && this.#devices.get(device)?.state === "online") this.#set(device, "offline");
  }

  /** After which silence this device is offline; Infinity for one that only says when something changes. */
  setSilence(device: string, silenceMs: number): void {
    this.#silences.set(device, silenceMs);
  }

  /** Somebody else looks after it from now on, and says what it is. */
  leave(device: string): void {
    if (this.#devices.get(device)?.state === "online") this.#online -= 1;
    this.#devices.delete(device);
  }

  close(): void {
    this.#stop();
  }

  #set(device: string, state: DeviceState): void {
    const presence = this.#devices.get(device);
    if (presence === undefined || presence.state === state) return;
    if (state === "online") this.#online += 1;
    else if (presence.state === "online") this.#online -= 1;
    presence.state = state;
    this.#onChange(device, state);
  }

  #arm(): Dispose {
    return this.#clock.alarm(
      this.#silenceMs / LOOKS,
      () => {
        const nowMs = this.#clock.monotonicMs();
        for (const [device, presence] of this.#devices) {
          if (presence.state !== "online") continue;
          const silenceMs = this.#silences.get(device) ?? this.#silenceMs;
          if (nowMs - presence.heardMs >= silenceMs) this.#set(device, "offline");
        }
        this.#stop = this.#arm();
      },
      { background: true },
    );
  }
}
