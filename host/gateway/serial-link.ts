/**
 * A device at a serial port: the port, the frames' state machine, and what keeps both alive.
 *
 *   closed --open--> opening --stream--> open --a frame of the device--> up
 *     ^                 |                 |                               |
 *     '--- back-off ----+-----------------+--- close, silence ------------'
 *
 * A port says nothing when a board behind it hangs, and sometimes nothing when it was pulled, so silence is the judge: firmware
 * sends a receipt every 5 s at the least. The device is whom the configuration says; the hello tells the rest. Back-off is
 * the core's, with jitter, for a hub comes back with all its ports at once.
 */
import { isTardigradeError } from "../../protocols/error.ts";
import { RETRY_MS, StreamLink } from "../../protocols/link.ts";
import { encodeMessage } from "../../protocols/message.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { ERRORS, type ErrorCode, LIMITS } from "../../protocols/table.ts";
import type { Backoff, BackoffOptions } from "../core/policy/backoff.ts";
import type { ByteStream, Clock, Dispose, Meter, SerialPorts } from "../io/seams.ts";
import type { DeviceLink, SerialBinding } from "./device-links.ts";
import type { ErrorMonitor } from "./error-monitor.ts";

/** Three heartbeats of the firmware. */
export const SILENCE_MS = 15_000;
/** Of ports that could not be opened, or were lost. */
export const REOPEN: BackoffOptions = { baseMs: 250, capMs: 10_000, jitter: "equal" };
/** A hello is asked for at most so often. */
const HELLO_ASK_MS = 1000;
/** While nothing can be taken, how often that is asked again. */
const HOLD_POLL_MS = 100;
/** Shortest alarm: sums of fractions may fall short of the time meant by less than any clock counts. */
const ALARM_MS_MIN = 1;
const BITS_A_BYTE = 10;

export interface SerialLinkOptions {
  readonly binding: SerialBinding;
  readonly ports: SerialPorts;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  /** Silence after which the port is closed and opened again. */
  readonly silenceMs: number;
  /** False while the log can take no more: the device gets no credits then. */
  readonly accepts: () => boolean;
  /** A message of the device, once and in the order of its session. */
  readonly receive: (payload: Uint8Array) => void;
  /** Any frame of its session, heartbeats included. */
  readonly heard: () => void;
  /** The device was up and is not any more. */
  readonly onDown: () => void;
}

/** What is there while a port is open. */
interface OpenPort {
  readonly stream: ByteStream;
  readonly link: StreamLink;
  readonly disposers: readonly Dispose[];
  heardMs: number;
  /** The port takes bytes. */
  clear: boolean;
}

export class SerialLink implements DeviceLink {
  readonly device: string;
  readonly #options: SerialLinkOptions;
  #open: OpenPort | undefined;
  #up = false;
  #closed = false;
  /** Openings since the device was last heard. */
  #attempt = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  #alarm: Dispose | undefined;
  #alarmMs = Number.POSITIVE_INFINITY;

  constructor(options: SerialLinkOptions) {
    this.#options = options;
    this.device = options.binding.device;
  }

  get isUp(): boolean {
    return this.#up;
  }

  open(): void {
    const { ports, binding } = this.#options;
    ports.open(binding.port, { baudRate: binding.baudRate }).then(
      (stream) => (this.#closed ? stream.close() : this.#opened(stream)),
      (error: unknown) => {
        const code = isTardigradeError(error) ? error.code : "SERIAL_OPEN";
        this.#failed(code, error instanceof Error ? error.message : String(error));
      },
    );
  }

  send(message: Message): void {
    const taken =
      this.#open?.link.enqueue(encodeMessage(message), this.#options.clock.monotonicMs()) ?? false;
    if (!taken) this.#count("tardigrade_serial_refused_total");
    this.#serve();
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  #opened(stream: ByteStream): void {
    const { clock, binding, monitor } = this.#options;
    const device = this.device;
    const link = new StreamLink({
      retryMs: retryMs(binding.baudRate),
      send: (bytes) => {
        if (!open.clear) return false;
        open.clear = stream.write(bytes);
        return true;
      },
      deliver: (payload) => {
        // Before the message is judged: the answer to a hello goes the way it came.
        this.#heardFrom();
        this.#options.receive(payload);
      },
      onError: (code) => {
        monitor.report(code, { component: "serial", device });
        this.#count("tardigrade_serial_frames_damaged_total");
      },
      onFrame: (ofSession) => {
        open.heardMs = clock.monotonicMs();
        if (ofSession) {
          this.#heardFrom();
          this.#options.heard();
        } else this.#askHello(open);
      },
      onRetry: (frames) => this.#count("tardigrade_serial_retries_total", frames),
    });
    const open: OpenPort = {
      stream,
      link,
      heardMs: clock.monotonicMs(),
      clear: true,
      disposers: [
        stream.onData((bytes) => {
          link.setHold(!this.#options.accepts());
          link.receive(bytes, clock.monotonicMs());
          this.#serve();
        }),
        stream.onDrain(() => {
          open.clear = true;
          link.ready(clock.monotonicMs());
          this.#serve();
        }),
        stream.onClose((error) => {
          const code = isTardigradeError(error) ? error.code : "SERIAL_LOST";
          this.#failed(code, error?.message ?? `The serial port ${binding.port} was closed.`);
        }),
      ],
    };
    this.#open = open;
    this.#count("tardigrade_serial_opens_total");
    this.#askedMs = Number.NEGATIVE_INFINITY;
    this.#askHello(open);
    this.#serve();
  }

  #askHello(open: OpenPort): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#askedMs < HELLO_ASK_MS) return;
    this.#askedMs = nowMs;
    open.link.enqueue(encodeMessage({ kind: "helloRequest", code: ERRORS.SESSION_UNKNOWN.number }), nowMs);
  }

  #heardFrom(): void {
    if (this.#up || this.#open === undefined) return;
    this.#up = true;
    this.#attempt = 0;
    this.#options.monitor.clear(this.#alertId);
  }

  /** What is due on an open port, and the alarm for what will be. */
  #serve(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { clock, silenceMs, accepts, binding } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs >= open.heardMs + silenceMs) {
      const message = `No whole frame of ${this.device} came over ${binding.port} for ${Math.round(silenceMs / 1000)} s.`;
      return this.#failed("SERIAL_SILENT", message);
    }
    const hold = !accepts();
    open.link.setHold(hold);
    const retryAtMs = open.link.poll(nowMs);
    const askAtMs = hold ? nowMs + HOLD_POLL_MS : Number.POSITIVE_INFINITY;
    this.#wake(Math.min(retryAtMs, askAtMs, open.heardMs + silenceMs), () => this.#serve());
  }

  /** The port could not be opened, or is of no use any more. */
  #failed(code: ErrorCode, message: string): void {
    if (this.#closed) return;
    const { monitor, backoff, clock } = this.#options;
    this.#release();
    this.#options.meter.count("tardigrade_serial_failures_total", { device: this.device, code });
    monitor.report(code, { component: "serial", device: this.device, message });
    // A cable that is put in again at once is worth a count, and no alert.
    if (this.#attempt > 0) monitor.raise(this.#alertId, { code, message: `${this.device}: ${message}` });
    this.#attempt += 1;
    this.#wake(clock.monotonicMs() + backoff(this.#attempt), () => this.open());
  }

  #release(): void {
    const open = this.#open;
    this.#open = undefined;
    this.#alarm?.();
    this.#alarmMs = Number.POSITIVE_INFINITY;
    if (open !== undefined) {
      for (const dispose of open.disposers) dispose();
      open.stream.close();
    }
    if (!this.#up) return;
    this.#up = false;
    this.#options.onDown();
  }

  /** Calls at that time at the latest; an earlier alarm stays and sets the next. */
  #wake(atMs: number, call: () => void): void {
    if (atMs >= this.#alarmMs) return;
    const { clock } = this.#options;
    this.#alarm?.();
    this.#alarmMs = atMs;
    this.#alarm = clock.alarm(
      Math.max(ALARM_MS_MIN, atMs - clock.monotonicMs()),
      () => {
        this.#alarmMs = Number.POSITIVE_INFINITY;
        call();
      },
      { background: true },
    );
  }

  get #alertId(): string {
    return `serial ${this.device}`;
  }

  #count(name: string, by = 1): void {
    this.#options.meter.count(name, { device: this.device }, by);
  }
}

/** On a slow line the longest frame and what answers it take longer than the usual wait; sooner would only repeat. */
function retryMs(baudRate: number): number {
  return Math.max(RETRY_MS, (2 * LIMITS.FRAME_ENCODED_BYTES_MAX * BITS_A_BYTE * 1000) / baudRate);
}
