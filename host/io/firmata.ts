/**
 * Firmata by firmata-io (the protocol) and johnny-five (the components), over any byte stream. Both are optional and loaded when a board
 * is opened. Neither bounds what it takes in, and neither ends what it began: here a message that never ends is dropped at
 * SYSEX_BYTES_MAX, what throws inside them is one message lost, and close() stops their timers.
 */
import { EventEmitter } from "node:events";
import type { Firmata } from "firmata-io";
import type { Board } from "johnny-five";
import { TardigradeError } from "../../protocols/error.ts";
import type { Value } from "../../protocols/messages.generated.ts";
import type { ByteStream } from "./seams.ts";

/** Longest message kept; the capability answer of a Mega has some 500 bytes. */
export const SYSEX_BYTES_MAX = 4096;
/** Unasked, a board tells its version after a reset only. */
const ASK_VERSION_MS = 200;
/** Samples that a reading is the median of. */
const SAMPLES_A_READING = 10;
const SAMPLING_MS_MIN = 20;
const SAMPLING_MS_MAX = 1000;
const SAMPLE_MS = 1000;
const ADC_MAX = 1023;
/** The handshake's limit is the caller's; johnny-five wants one of its own. */
const NEVER_MS = 2 ** 31 - 1;

/** What hangs at a pin; host/gateway/firmata/component.ts says what each means. */
export interface FirmataPart {
  readonly name: string;
  readonly kind: "sensor" | "thermometer" | "button" | "led" | "relay" | "servo";
  readonly pin?: number;
  readonly analog?: number;
  readonly low?: number;
  readonly high?: number;
  readonly everyMs?: number;
  readonly controller?: string;
  readonly pullup?: boolean;
}

interface Handlers {
  onValue(component: string, value: number | boolean): void;
  onProblem(code: "FIRMATA_COMPONENT" | "FIRMATA_DATA", message: string): void;
  onHeard(): void;
}

type Five = typeof import("johnny-five");

/** Loads both packages. Rejects with DEPENDENCY_MISSING. */
export async function loadFirmata(): Promise<{ readonly five: Five; readonly Firmata: typeof Firmata }> {
  try {
    // Both are CommonJS: what they export is the default.
    const [five, io] = await Promise.all([import("johnny-five"), import("firmata-io")]);
    const { default: components } = five as unknown as { readonly default: Five };
    const { default: protocol } = io as unknown as { readonly default: typeof import("firmata-io") };
    return { five: components, Firmata: protocol.Firmata };
  } catch (cause) {
    throw new TardigradeError(
      "DEPENDENCY_MISSING",
      "Firmata boards need two packages; run `npm install johnny-five firmata-io`, or take `firmata` out of the configuration.",
      { cause, context: { component: "firmata", operation: "load" } },
    );
  }
}

/** Speaks Firmata over streams; see FirmataDriver in host/gateway/firmata/driver.ts. */
export function johnnyFive() {
  return {
    open: async (stream: ByteStream, parts: readonly FirmataPart[], handlers: Handlers) => {
      const { five, Firmata } = await loadFirmata();
      const transport = new Transport(stream);
      const io = new Firmata(transport, {
        reportVersionTimeout: ASK_VERSION_MS,
        samplingInterval: samplingMs(parts),
      });
      // An error without a listener would end the process.
      io.on("error", (error: unknown) => handlers.onProblem("FIRMATA_DATA", String(error)));
      const stop = listen(stream, transport, io, handlers);
      try {
        await new Promise<void>((resolve, reject) => {
          io.once("ready", resolve);
          stream.onClose(() =>
            reject(new TardigradeError("SERIAL_LOST", "The port closed during the Firmata handshake.")),
          );
        });
        return await openSession({ five, io, parts, handlers, stop });
      } catch (error) {
        stop();
        throw error;
      }
    },
  };
}

/** The shape that firmata-io takes for a port. */
class Transport extends EventEmitter {
  readonly #stream: ByteStream;
  constructor(stream: ByteStream) {
    super();
    this.#stream = stream;
  }
  write(bytes: Uint8Array, done?: () => void): void {
    this.#stream.write(bytes);
    done?.();
  }
}

function listen(stream: ByteStream, transport: Transport, io: Firmata, handlers: Handlers): () => void {
  const dispose = stream.onData((bytes) => {
    try {
      transport.emit("data", bytes);
      if (io.buffer.length === 0) handlers.onHeard();
      else if (io.buffer.length > SYSEX_BYTES_MAX) {
        io.buffer.length = 0;
        handlers.onProblem(
          "FIRMATA_DATA",
          `A message had more than ${SYSEX_BYTES_MAX} bytes; it was left out.`,
        );
      }
    } catch (error) {
      io.buffer.length = 0;
      handlers.onProblem("FIRMATA_DATA", `A message could not be read: ${(error as Error).message}`);
    }
  });
  return () => {
    dispose();
    clearTimeout(io.reportVersionTimeoutId);
    io.removeAllListeners();
    io.on("error", () => {});
  };
}

/** A reading is the median of several samples; the board is asked for no more of them than that. */
function samplingMs(parts: readonly FirmataPart[]): number {
  const fastest = Math.min(...parts.map(({ everyMs = SAMPLE_MS }) => everyMs), SAMPLE_MS);
  return Math.round(Math.min(SAMPLING_MS_MAX, Math.max(SAMPLING_MS_MIN, fastest / SAMPLES_A_READING)));
}

interface Made {
  readonly state?: Value;
  set?(value: Value): void;
  stop?(): void;
}

async function openSession(given: {
  readonly five: Five;
  readonly io: Firmata;
  readonly parts: readonly FirmataPart[];
  readonly handlers: Handlers;
  readonly stop: () => void;
}) {
  const { five, io, parts, handlers, stop } = given;
  const board = new five.Board({ io, repl: false, debug: false, sigint: false, timeout: NEVER_MS });
  board.on("error", (error: unknown) => handlers.onProblem("FIRMATA_DATA", String(error)));
  await new Promise<void>((resolve) => board.once("ready", resolve));
  clearTimeout(board.timer);
  const made = new Map<string, Made>();
  const states: Record<string, Value> = {};
  for (const part of parts) {
    const problem = problemOf(part, io);
    if (problem !== undefined) {
      handlers.onProblem("FIRMATA_COMPONENT", `${part.name}: ${problem}.`);
      continue;
    }
    try {
      const one = make(five, board, io, part, handlers);
      made.set(part.name, one);
      if (one.state !== undefined) states[part.name] = one.state;
    } catch (error) {
      handlers.onProblem("FIRMATA_COMPONENT", `${part.name}: ${(error as Error).message}`);
    }
  }
  const { name = "firmata", version } = io.firmware;
  return {
    firmware: name.replace(/\.ino$/, ""),
    version: version === undefined ? "" : `${version.major}.${version.minor}`,
    states,
    set: (component: string, value: Value): boolean => {
      const set = made.get(component)?.set;
      if (set === undefined) return false;
      set(value);
      return true;
    },
    ping: () => io.reportVersion(() => {}),
    close: () => {
      stop();
      for (const one of made.values()) one.stop?.();
      board.removeAllListeners();
      // johnny-five keeps every board that ever was.
      const kept = five.Board.cache?.indexOf(board) ?? -1;
      if (kept >= 0) five.Board.cache?.splice(kept, 1);
    },
  };
}

const MODE_OF = { button: "INPUT", led: "OUTPUT", relay: "OUTPUT", servo: "SERVO" } as const;

/** Why the board's pins cannot be that. */
function problemOf({ kind, pin, analog }: FirmataPart, io: Firmata): string | undefined {
  if (kind === "sensor" || kind === "thermometer") {
    if (analog !== undefined && io.analogPins[analog] !== undefined) return undefined;
    return `the board has no analog channel A${analog}; it has ${io.analogPins.length}`;
  }
  const modes = pin === undefined ? undefined : io.pins[pin]?.supportedModes;
  const mode = MODE_OF[kind];
  if (modes?.includes(io.MODES[mode] as number) === true) return undefined;
  return `pin ${pin} of the board cannot be ${mode.toLowerCase()}`;
}

function make(five: Five, board: Board, io: Firmata, part: FirmataPart, handlers: Handlers): Made {
  const { name, kind, pin = 0, everyMs = SAMPLE_MS } = part;
  switch (kind) {
    case "sensor": {
      const { low = 0, high = 100 } = part;
      const sensor = new five.Sensor({ board, pin: `A${part.analog}`, freq: everyMs });
      const fresh = freshness(io, part);
      sensor.on("data", (median: number) => {
        if (fresh()) handlers.onValue(name, rounded(low + (median / ADC_MAX) * (high - low)));
      });
      return { stop: () => sensor.disable() };
    }
    case "thermometer": {
      const controller = part.controller ?? "TMP36";
      const sensor = new five.Thermometer({ board, pin: `A${part.analog}`, freq: everyMs, controller });
      const fresh = freshness(io, part);
      sensor.on("data", ({ celsius }: { readonly celsius: number }) => {
        if (fresh()) handlers.onValue(name, rounded(celsius));
      });
      return { stop: () => sensor.disable() };
    }
    case "button": {
      const button = new five.Button({ board, pin, isPullup: part.pullup === true });
      button.on("down", () => handlers.onValue(name, true));
      button.on("up", () => handlers.onValue(name, false));
      return { state: false };
    }
    case "led": {
      const led = new five.Led({ board, pin }).off();
      const hasPwm = io.pins[pin]?.supportedModes.includes(io.MODES.PWM as number) === true;
      const set = (value: Value): void => {
        if (typeof value !== "number") value === true ? led.on() : led.off();
        else if (hasPwm) led.brightness(Math.round(value * 2.55));
        else
          throw new TardigradeError(
            "ARGUMENT",
            `${name} is at pin ${pin}, which has no PWM: say true or false.`,
          );
      };
      return { state: false, set };
    }
    case "relay": {
      const relay = new five.Relay({ board, pin }).open();
      return { state: false, set: (value) => void (value === true ? relay.close() : relay.open()) };
    }
    case "servo": {
      const servo = new five.Servo({ board, pin });
      return { set: (value) => void servo.to(Number(value)) };
    }
  }
}

/** True once for each time that the board sent a sample since: johnny-five tells the last one for ever. */
function freshness(io: Firmata, { analog }: FirmataPart): () => boolean {
  let isFresh = false;
  io.on(`analog-read-${analog}`, () => {
    isFresh = true;
  });
  return () => {
    const was = isFresh;
    isFresh = false;
    return was;
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
