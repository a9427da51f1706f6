/**
 * A board with Firmata on it, as a device of the fleet.
 *
 *   closed --open--> opening --stream--> handshake --session--> up
 *     ^                 |                    |                   |
 *     '---- back-off ---+----- too long -----+---- lost, silent -'
 *
 * Firmata acknowledges nothing and has no heartbeat: a board without sensors is silent for good. So it is asked for its version
 * every few seconds, and silence is the judge, as on our own serial links. A board that came back was reset by the opening of its port
 * (DTR) or by hand, and remembers nothing: what was set last is set again.
 */
import { isTardigradeError, TardigradeError } from "../../../protocols/error.ts";
import type { Value } from "../../../protocols/messages.generated.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import type { Backoff } from "../../core/policy/backoff.ts";
import type { ByteStream, Dispose, SerialPorts } from "../../io/seams.ts";
import type { ProxyHost, ProxyPort } from "../proxy-port.ts";
import { type FirmataBinding, isControl, isReading, problemWith, unitOf } from "./component.ts";
import type { FirmataDriver, FirmataSession } from "./driver.ts";

/** An Uno's boot loader waits two seconds, StandardFirmata blinks its version for another two. */
export const HANDSHAKE_MS = 15_000;
export const PING_MS = 5_000;
/** Three pings. */
export const SILENCE_MS = 15_000;
/** The gateway is told at most so often that the board was heard. */
const HEARD_MS = 1000;

export interface FirmataBoardOptions {
  readonly binding: FirmataBinding;
  readonly ports: SerialPorts;
  readonly driver: FirmataDriver;
  readonly host: ProxyHost;
  readonly backoff: Backoff;
}

export class FirmataBoard {
  readonly #options: FirmataBoardOptions;
  readonly #port: ProxyPort;
  #stream: ByteStream | undefined;
  #session: FirmataSession | undefined;
  #disposeClose: Dispose = () => {};
  #alarm: Dispose = () => {};
  #states: Record<string, Value> = {};
  /** What was set in this life of the gateway. */
  readonly #wanted = new Map<string, Value>();
  #attempt = 0;
  #heardMs = 0;
  #toldMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Throws as ProxyHost.device() does. */
  constructor(options: FirmataBoardOptions) {
    this.#options = options;
    this.#port = options.host.device(
      options.binding.device,
      {
        onDesired: (entries) => this.#desired(entries),
        onCommand: async (name, args) => this.#command(name, args),
      },
      { isLocal: true },
    );
  }

  open(): void {
    const { ports, binding } = this.#options;
    ports.open(binding.port, { baudRate: binding.baudRate }).then(
      (stream) => (this.#closed ? stream.close() : this.#opened(stream)),
      (error: unknown) => this.#failed(codeOf(error, "SERIAL_OPEN"), textOf(error)),
    );
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  #opened(stream: ByteStream): void {
    const { driver, binding, host } = this.#options;
    this.#stream = stream;
    this.#heardMs = host.clock.monotonicMs();
    host.meter.count("tardigrade_serial_opens_total", { device: binding.device });
    this.#disposeClose = stream.onClose((error) => {
      this.#failed(codeOf(error, "SERIAL_LOST"), error?.message ?? `The port ${binding.port} was closed.`);
    });
    this.#wake(HANDSHAKE_MS, () => {
      const what = `Nothing at ${binding.port} spoke Firmata for ${HANDSHAKE_MS / 1000} s`;
      this.#failed(
        "FIRMATA_HANDSHAKE",
        `${what}; flash StandardFirmata, or mend baud (${binding.baudRate}).`,
      );
    });
    const isCurrent = (): boolean => this.#stream === stream;
    const opening = driver.open(stream, binding.components, {
      onValue: (name, value) => isCurrent() && this.#value(name, value),
      onProblem: (code, message) => isCurrent() && this.#report(code, message),
      onHeard: () => isCurrent() && this.#heard(),
    });
    opening.then(
      (session) => (isCurrent() ? this.#up(session) : session.close()),
      (error: unknown) => isCurrent() && this.#failed(codeOf(error, "FIRMATA_HANDSHAKE"), textOf(error)),
    );
  }

  #up(session: FirmataSession): void {
    const { binding, host } = this.#options;
    this.#session = session;
    this.#attempt = 0;
    this.#states = { ...session.states };
    host.monitor.clear(this.#alertId);
    this.#port.describe({
      board: "firmata",
      app: session.firmware,
      version: session.version,
      metrics: binding.components
        .filter(isReading)
        .map((component) => ({ name: component.name, unit: unitOf(component) })),
      commands: binding.components.some(isControl) ? ["set"] : [],
    });
    for (const [name, value] of this.#wanted) {
      try {
        this.#set(name, value);
      } catch (error) {
        this.#report(codeOf(error, "ARGUMENT"), textOf(error));
      }
    }
    this.#port.report(this.#states);
    this.#heard();
    this.#watch();
  }

  #watch(): void {
    const { host, binding } = this.#options;
    if (host.clock.monotonicMs() - this.#heardMs >= SILENCE_MS) {
      const message = `${binding.device} did not answer at ${binding.port} for ${SILENCE_MS / 1000} s.`;
      return this.#failed("SERIAL_SILENT", message);
    }
    this.#session?.ping();
    this.#wake(PING_MS, () => this.#watch());
  }

  #heard(): void {
    const nowMs = this.#options.host.clock.monotonicMs();
    this.#heardMs = nowMs;
    if (this.#session === undefined || nowMs - this.#toldMs < HEARD_MS) return;
    this.#toldMs = nowMs;
    this.#port.heard();
  }

  #value(name: string, value: number | boolean): void {
    if (typeof value === "number") return this.#port.reading(name, value);
    this.#states[name] = value;
    if (this.#session !== undefined) this.#port.report(this.#states);
  }

  #desired(entries: Readonly<Record<string, Value>>): void {
    for (const [name, value] of Object.entries(entries)) {
      // What no component is called is somebody else's; a button's state is not ours to change.
      const component = this.#options.binding.components.find((it) => it.name === name);
      if (component === undefined || !isControl(component) || this.#states[name] === value) continue;
      try {
        this.#set(name, value);
      } catch (error) {
        this.#report(codeOf(error, "ARGUMENT"), textOf(error));
      }
    }
    if (this.#session !== undefined) this.#port.report(this.#states);
  }

  #command(command: string, args: Readonly<Record<string, Value>>): Value | undefined {
    if (command !== "set") throw new TardigradeError("COMMAND_UNKNOWN", "There is only `set`.");
    const wanted = Object.entries(args);
    if (wanted.length === 0) throw new TardigradeError("ARGUMENT", "Say what to set, such as lamp=true.");
    if (this.#session === undefined) {
      throw new TardigradeError("COMMAND_FAILED", `${this.#options.binding.device} is not connected.`);
    }
    for (const [name, value] of wanted) this.#check(name, value);
    for (const [name, value] of wanted) this.#set(name, value);
    this.#port.report(this.#states);
    return wanted.length === 1 ? wanted[0]?.[1] : undefined;
  }

  #set(name: string, value: Value): void {
    this.#check(name, value);
    this.#wanted.set(name, value);
    if (this.#session?.set(name, value) === true) this.#states[name] = value;
  }

  /** Throws ARGUMENT. */
  #check(name: string, value: Value): void {
    const component = this.#options.binding.components.find((it) => it.name === name);
    const problem =
      component === undefined ? `there is no component "${name}"` : problemWith(component, value);
    if (problem !== undefined) throw new TardigradeError("ARGUMENT", `${problem}.`);
  }

  #failed(code: ErrorCode, message: string): void {
    if (this.#closed) return;
    const { host, binding } = this.#options;
    this.#release();
    host.meter.count("tardigrade_serial_failures_total", { device: binding.device, code });
    this.#report(code, message);
    // A cable that is put in again at once is worth a count, and no alert.
    if (this.#attempt > 0) {
      host.monitor.raise(this.#alertId, { code, message: `${binding.device}: ${message}` });
    }
    this.#attempt += 1;
    this.#wake(this.#options.backoff(this.#attempt), () => this.open());
  }

  #release(): void {
    this.#alarm();
    this.#disposeClose();
    const wasUp = this.#session !== undefined;
    this.#session?.close();
    this.#session = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
    if (wasUp && !this.#closed) this.#port.offline();
  }

  #wake(delayMs: number, call: () => void): void {
    this.#alarm();
    this.#alarm = this.#options.host.clock.alarm(delayMs, call, { background: true });
  }

  #report(code: ErrorCode, message: string): void {
    this.#options.host.monitor.report(code, {
      component: "firmata",
      device: this.#options.binding.device,
      message,
    });
  }

  get #alertId(): string {
    return `firmata ${this.#options.binding.device}`;
  }
}

function codeOf(error: unknown, otherwise: ErrorCode): ErrorCode {
  return isTardigradeError(error) ? error.code : otherwise;
}
function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
