/**
 * The virtual board: a plain object that runs the very `system.wasm` and app that other boards compile ahead of time. It
 * is the oracle for them, and small enough for thousands in one process. Time, randomness and the link come from outside,
 * so that it runs in real time beside a gateway or in virtual time in a test.
 *
 *   link --receive--> system.wasm --hal_app_*--> app.wasm
 *        <--send-----     |  ^  <--tardi.*------
 *                       HAL: pins, ADC, journal, clock (this file)
 */
import {
  ERRORS,
  RESET_REASONS,
  type ResetReason,
  TRAP_KINDS,
  type TrapKind,
} from "../../../protocols/table.ts";
import { type AnalogSource, VirtualPins } from "./pins.ts";

/** The part of the host's clock seam that a board needs. */
export interface BoardClock {
  monotonicMs(): number;
  alarm(delayMs: number, call: () => void): () => void;
}

export interface BoardLink {
  /** message: whole messages in order (MQTT). stream: bytes (serial). */
  readonly kind: "message" | "stream";
  /** False when it cannot take the bytes now. */
  send(bytes: Uint8Array): boolean;
  /** Bytes that a stream takes now; without it as many as there are. */
  room?(): number;
}

/** What an app's image says of itself; written by the toolchain. */
export interface BoardImage {
  readonly app: WebAssembly.Module;
  readonly name: string;
  readonly version: string;
  /** Bit set of CAPABILITIES. */
  readonly capabilities: number;
}

export interface VirtualBoardOptions {
  readonly id: string;
  readonly system: WebAssembly.Module;
  readonly image: BoardImage;
  readonly clock: BoardClock;
  /** Uniform in [0, 2^32). */
  readonly random: () => number;
  readonly link: BoardLink;
  readonly analog?: AnalogSource;
  readonly pinCount?: number;
  /** RAM that survives a reset: 8192 bytes unless told otherwise, 4096 at least. */
  readonly retainedBytes?: number;
  /** Journal of an earlier life of the board, as `journal()` gave it. */
  readonly journal?: ReadonlyMap<number, bigint>;
  /** What an app's trap said; the board itself reports it as an error record. */
  readonly onTrap?: (error: unknown) => void;
}

export interface BoardFigures {
  readonly boot: number;
  readonly readingsProduced: number;
  readonly readingsDropped: number;
  readonly messagesHeld: number;
  readonly messagesInFlight: number;
  readonly traps: number;
  readonly nextSequence: number;
  readonly sessionOpen: boolean;
  readonly readingsBatched: number;
  readonly framesDamaged: number;
  readonly messagesRefused: number;
  /** Number of the code for which the base leaves the app stopped, 0 while it runs. */
  readonly appStopped: number;
}

interface SystemExports {
  readonly memory: WebAssembly.Memory;
  start(): void;
  boot(): void;
  poll(): bigint;
  link_up(): void;
  link_down(): void;
  link_receive(length: number): void;
  receive_buffer(): number;
  receive_capacity(): number;
  send_batch(): number;
  retained_base(): number;
  retained_bytes(): number;
  figure(which: number): number;
}

interface AppExports {
  readonly memory: WebAssembly.Memory;
  start?(): void;
  setup(): void;
  on_timer(id: number): undefined;
  on_command(ptr: number, length: number): number;
  on_shadow(ptr: number, length: number): undefined;
}

const BOARD_NAME = "virtual";
const PINS_DEFAULT = 30;
const RETAINED_BYTES = 8192;
const STREAM_ROOM = 65_536;
/** What V8 says of a trap; a stack that overflows is a RangeError instead. */
const TRAPS: readonly (readonly [RegExp, TrapKind])[] = [
  [/unreachable/, "unreachable"],
  [/memory access|data segment/, "memory"],
  [/(?:divide|remainder) by zero/, "divide-by-zero"],
  [/divide result/, "integer-overflow"],
  [/float unrepresentable/, "invalid-conversion"],
  [/table|signature/, "call-indirect"],
];

/** Kind of what a call into an app threw; undefined for what is no trap. */
export function trapKindOf(error: unknown): TrapKind | undefined {
  if (error instanceof RangeError) return "stack";
  if (!(error instanceof WebAssembly.RuntimeError)) return undefined;
  return TRAPS.find(([pattern]) => pattern.test(error.message))?.[1] ?? "none";
}
const NEVER = 0xffff_ffff_ffff_ffffn;
/** Node's timers take 31 bits of milliseconds. */
const SLEEP_MS_MAX = 2 ** 31 - 1;

const encoder = new TextEncoder();

export class VirtualBoard {
  readonly id: string;
  readonly pins: VirtualPins;
  readonly #options: VirtualBoardOptions;
  readonly #journal: Map<number, bigint>;
  #system: SystemExports | undefined;
  #app: AppExports | undefined;
  #bootedMs = 0;
  #reason: ResetReason = "power-on";
  #linkUp = false;
  #cancel: () => void = () => {};
  #running = false;
  #paused = false;
  #trap: TrapKind = "none";
  /** Calls for a poll so far; one that comes during a poll makes it go round again. */
  #calls = 0;

  constructor(options: VirtualBoardOptions) {
    this.id = options.id;
    this.#options = options;
    this.#journal = new Map(options.journal);
    this.pins = new VirtualPins({
      pinCount: options.pinCount ?? PINS_DEFAULT,
      analog: options.analog ?? (() => Number.NaN),
    });
  }

  get isPowered(): boolean {
    return this.#system !== undefined;
  }

  /** Boots with empty RAM. */
  powerOn(): void {
    if (!this.isPowered) this.#start("power-on", undefined);
  }

  /** RAM is gone; the journal stays. */
  powerCut(): void {
    this.#cancel();
    this.#system = undefined;
    this.#app = undefined;
    this.pins.reset();
  }

  /** Restarts with the retained region kept, as a processor's reset does; `damage` may change it meanwhile, as a wild write would. */
  reset(
    reason: Exclude<ResetReason, "power-on"> = "software",
    damage: (retained: Uint8Array) => void = () => {},
  ): void {
    const system = this.#system;
    if (system === undefined) return;
    const base = system.retained_base();
    const retained = new Uint8Array(system.memory.buffer, base, system.retained_bytes()).slice();
    damage(retained);
    this.powerCut();
    this.#start(reason, { base, bytes: retained });
  }

  /** Stops the app's timers and closes its batch; link and session go on, so that what was produced can be counted. */
  pauseApp(): void {
    this.#paused = true;
    this.#system?.send_batch();
    this.#poll();
  }

  journal(): ReadonlyMap<number, bigint> {
    return new Map(this.#journal);
  }

  /** The transport below the link connected or was lost. */
  setLink(up: boolean): void {
    this.#linkUp = up;
    if (up) this.#system?.link_up();
    else this.#system?.link_down();
    this.#poll();
  }

  /** Bytes from the link: one message, or any piece of a stream. */
  receive(bytes: Uint8Array): void {
    const system = this.#system;
    if (system === undefined || !this.#linkUp) return;
    if (this.#options.link.kind === "message" && bytes.length > system.receive_capacity()) return;
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + system.receive_capacity());
      new Uint8Array(system.memory.buffer).set(piece, system.receive_buffer());
      system.link_receive(piece.length);
      at += piece.length;
    }
    this.#poll();
  }

  /** The stream can take bytes again. */
  linkReady(): void {
    this.#poll();
  }

  figures(): BoardFigures {
    const figure = (which: number) => this.#system?.figure(which) ?? 0;
    return {
      boot: figure(0),
      readingsProduced: figure(1),
      readingsDropped: figure(2),
      messagesHeld: figure(3),
      messagesInFlight: figure(4),
      traps: figure(5),
      nextSequence: figure(6),
      sessionOpen: figure(7) === 1,
      readingsBatched: figure(8),
      framesDamaged: figure(9),
      messagesRefused: figure(10),
      appStopped: figure(11),
    };
  }

  /** Microseconds since boot. */
  get uptimeUs(): number {
    return Math.round((this.#options.clock.monotonicMs() - this.#bootedMs) * 1000);
  }

  #start(reason: ResetReason, retained: { base: number; bytes: Uint8Array } | undefined): void {
    this.#reason = reason;
    this.#bootedMs = this.#options.clock.monotonicMs();
    const instance = new WebAssembly.Instance(this.#options.system, { hal: this.#hal() });
    const system = instance.exports as unknown as SystemExports;
    this.#system = system;
    system.start();
    if (retained) new Uint8Array(system.memory.buffer).set(retained.bytes, retained.base);
    system.boot();
    if (this.#linkUp) system.link_up();
    this.#poll();
  }

  /** Runs what is due and sleeps until the system's next deadline. A call from inside one (a link that answers at once) waits. */
  #poll(): void {
    this.#calls += 1;
    if (this.#running) return;
    this.#running = true;
    let wakeUs = NEVER;
    for (let seen = -1; seen !== this.#calls; ) {
      seen = this.#calls;
      // A u64 comes out of WebAssembly as an i64.
      wakeUs = BigInt.asUintN(64, this.#system?.poll() ?? NEVER);
    }
    this.#running = false;
    this.#cancel();
    if (wakeUs === NEVER || !this.isPowered) return;
    const delayMs = Math.max(0, Number(wakeUs) / 1000 - this.uptimeUs / 1000);
    this.#cancel = this.#options.clock.alarm(Math.min(delayMs, SLEEP_MS_MAX), () => this.#poll());
  }

  #hal(): Record<string, (...values: never[]) => unknown> {
    const options = this.#options;
    return {
      hal_now_us: () => BigInt(this.uptimeUs),
      hal_random: () => options.random(),
      hal_reset_reason: () => RESET_REASONS.indexOf(this.#reason),
      hal_capabilities: () => options.image.capabilities,
      hal_identity: (which: number, ptr: number, capacity: number) => this.#identity(which, ptr, capacity),
      hal_link_kind: () => (options.link.kind === "stream" ? 1 : 0),
      hal_link_room: () => options.link.room?.() ?? STREAM_ROOM,
      hal_link_send: (ptr: number, length: number) => this.#send(ptr, length),
      hal_journal_read: (key: number) => this.#journal.get(key) ?? 0n,
      hal_journal_write: (key: number, value: bigint) => {
        this.#journal.set(key, BigInt.asUintN(64, value));
        return 0;
      },
      hal_journal_due: () => 0,
      hal_journal_prepare: () => {},
      hal_retained_bytes: () => options.retainedBytes ?? RETAINED_BYTES,
      hal_panic: () => 0n,
      hal_app_trap: () => BigInt(TRAP_KINDS.indexOf(this.#trap)) << 32n,
      hal_app_read: (app: number, ptr: number, length: number) => this.#copy("read", app, ptr, length),
      hal_app_write: (app: number, ptr: number, length: number) => this.#copy("write", app, ptr, length),
      hal_app_setup: () => this.#setup(),
      hal_app_timer: (id: number) => (this.#paused ? 0 : this.#call((app) => app.on_timer(id))),
      hal_app_command: (ptr: number, length: number) => this.#call((app) => app.on_command(ptr, length)),
      hal_app_shadow: (ptr: number, length: number) => this.#call((app) => app.on_shadow(ptr, length)),
      hal_pin_mode: (pin: number, mode: number) => this.pins.setMode(pin, mode),
      hal_pin_write: (pin: number, value: number) => this.pins.write(pin, value),
      hal_pin_read: (pin: number) => this.pins.read(pin),
      hal_adc_read: (channel: number) => this.pins.readAnalog(channel, this.uptimeUs),
    };
  }

  #bytes(ptr: number, length: number): Uint8Array {
    if (this.#system === undefined) return new Uint8Array(0);
    return new Uint8Array(this.#system.memory.buffer, ptr >>> 0, length);
  }

  #identity(which: number, ptr: number, capacity: number): number {
    const { image } = this.#options;
    const text = [BOARD_NAME, image.name, image.version][which] ?? "";
    return encoder.encodeInto(text, this.#bytes(ptr, capacity)).written;
  }

  #send(ptr: number, length: number): number {
    if (!this.#linkUp) return -ERRORS.LINK_DOWN.number;
    return this.#options.link.send(this.#bytes(ptr, length).slice()) ? 0 : -ERRORS.QUEUE_FULL.number;
  }

  #copy(direction: "read" | "write", appPtr: number, ptr: number, length: number): number {
    const memory = this.#app?.memory.buffer;
    const from = appPtr >>> 0;
    if (memory === undefined || length < 0 || from + length > memory.byteLength)
      return -ERRORS.ARENA_RANGE.number;
    const app = new Uint8Array(memory, from, length);
    if (direction === "read") this.#bytes(ptr, length).set(app);
    else app.set(this.#bytes(ptr, length));
    return 0;
  }

  /** A fresh instance each time: an app starts again with fresh memory after a trap. */
  #setup(): number {
    return this.#call(() => {
      const tardi = this.#system as unknown as WebAssembly.ModuleImports;
      const instance = new WebAssembly.Instance(this.#options.image.app, { tardi });
      const app = instance.exports as unknown as AppExports;
      this.#app = app;
      app.start?.();
      app.setup();
      return 0;
    });
  }

  /** A wasm trap is a RuntimeError, stack exhaustion a RangeError; anything else is a bug of ours and goes up. */
  #call(run: (app: AppExports) => number | undefined): number {
    try {
      return run(this.#app as AppExports) ?? 0;
    } catch (error) {
      const kind = trapKindOf(error);
      if (kind === undefined) throw error;
      this.#trap = kind;
      this.#options.onTrap?.(error);
      return -ERRORS.APP_TRAP.number;
    }
  }
}
