/**
 * A device as the protocol describes one, without firmware: numbers messages, keeps them in a ring until their durable
 * acknowledgement, drops the oldest with a drop record, reboots warm (the ring survives) or by a power cut (it does not). The
 * test gives it a way to send and tells it the time.
 */
import { decodeMessage, encodeMessage } from "../../protocols/message.ts";
import type { Command, Drop, Message, Shadow, Value } from "../../protocols/messages.generated.ts";
import { LIMITS, PROTOCOL_MAJOR, PROTOCOL_MINOR } from "../../protocols/table.ts";

/** Stamps further ahead are refused, as firmware does. */
const DRIFT_MS_MAX = 60_000;

type Sequenced = Extract<Message, { readonly seq: number }> & { readonly uptimeUs: number };

export interface DeviceModelOptions {
  readonly id: string;
  readonly send: (payload: Uint8Array) => void;
  readonly nowMs: () => number;
  readonly session: () => number;
  readonly ringMax?: number;
  readonly metrics?: readonly { readonly name: string; readonly unit: string }[];
  /** Protocol 1.x that it speaks; below 3 it knows no stamps. */
  readonly minor?: number;
  /** What its crystal has gained since it was told the time. */
  readonly strayMs?: () => number;
  readonly commands?: Readonly<Record<string, (command: Command) => { code: number; result?: Value }>>;
}

interface Held {
  readonly boot: number;
  /** First number it stands for; below seq for a drop record. */
  from: number;
  message: Sequenced;
  readonly readings: number;
  sent: boolean;
}

/** As the end of a run compares it with what is stored. */
export interface Produced {
  readonly boot: number;
  readonly seq: number;
  readonly index: number;
  readonly value: number;
}

export class DeviceModel {
  readonly #options: DeviceModelOptions;
  readonly #ringMax: number;
  boot = 1;
  #bornMs: number;
  #nextSeq = 1;
  #reservedTo = LIMITS.SEQUENCE_RESERVE;
  #ring: Held[] = [];
  #inFlight = 0;
  #window = 0;
  #session = 0;
  #lost: { boot: number; to: number } | undefined;
  open = false;
  linkUp = false;
  readonly produced: Produced[] = [];
  readonly received: Message[] = [];
  desired: Shadow | undefined;
  reported: Record<string, Value> = {};
  readonly #answered = new Map<number, Message>();
  /** Messages to send in the place of the next ones, for tests of misbehaviour. */
  refusedCode = 0;
  hellos = 0;
  /** Wall clock less nowMs(); undefined until it was told. */
  #wallOffsetMs: number | undefined;
  #stamp = 0n;
  /** Stamps of the gateway that it refused. */
  drifts = 0;

  constructor(options: DeviceModelOptions) {
    this.#options = options;
    this.#ringMax = options.ringMax ?? 256;
    this.#bornMs = options.nowMs();
  }

  get held(): number {
    return this.#ring.length;
  }
  get nextSeq(): number {
    return this.#nextSeq;
  }

  connect(): void {
    this.linkUp = true;
    this.hello();
  }

  disconnect(): void {
    this.linkUp = false;
    this.open = false;
  }

  /** The ring survives; a new boot. */
  warmReset(): void {
    this.#reboot();
  }

  /** The ring is gone; the numbers that may have been used are stated. */
  powerCut(): void {
    this.#lost = { boot: this.boot, to: this.#reservedTo };
    this.#ring = [];
    this.#reboot();
  }

  /** The journal is erased too: boot counter and numbers begin anew. */
  reflash(): void {
    this.#ring = [];
    this.#lost = undefined;
    this.#reboot();
    this.boot = 1;
  }

  #reboot(): void {
    this.boot += 1;
    this.#bornMs = this.#options.nowMs();
    this.#nextSeq = 1;
    this.#reservedTo = LIMITS.SEQUENCE_RESERVE;
    this.#inFlight = 0;
    this.#answered.clear();
    this.#wallOffsetMs = undefined;
    this.#stamp = 0n;
    this.open = false;
    if (this.linkUp) this.hello();
  }

  telemetry(values: readonly number[]): void {
    const readings = values.map((value, index) => ({ metric: 0, offsetUs: index, value }));
    const seq = this.#nextSeq;
    values.forEach((value, index) => {
      this.produced.push({ boot: this.boot, seq, index, value });
    });
    this.#push({ kind: "telemetry", ...this.#head(), readings }, values.length);
  }

  /** A histogram's bytes, as the SDK's report sends them. */
  histogram(metric: number, histogram: Uint8Array): void {
    this.#push({ kind: "telemetry", ...this.#head(), readings: [], histogramMetric: metric, histogram }, 0);
  }

  event(name: string, value?: Value): void {
    this.#push(
      { kind: "event", ...this.#head(), name, severity: 0, ...(value === undefined ? {} : { value }) },
      0,
    );
  }

  error(code: number): void {
    this.#push(
      { kind: "error", ...this.#head(), code, severity: 2, component: "sensor", operation: "read", count: 1 },
      0,
    );
  }

  log(text: string): void {
    this.#push({ kind: "log", ...this.#head(), level: 2, text }, 0);
  }

  /** Whatever the test likes. */
  raw(message: Message): void {
    if (this.linkUp) this.#options.send(encodeMessage(message));
  }

  hello(): void {
    if (!this.linkUp) return;
    this.#session = this.#options.session();
    this.open = false;
    this.#inFlight = 0;
    this.hellos += 1;
    const oldest = this.#ring[0];
    this.raw({
      kind: "hello",
      major: PROTOCOL_MAJOR,
      minor: this.#minor,
      boot: this.boot,
      session: this.#session,
      uptimeUs: this.uptimeUs(),
      oldestBoot: oldest?.boot ?? this.boot,
      oldestSeq: oldest?.from ?? this.#nextSeq,
      board: "model",
      app: "test",
      version: "1.0.0",
      reason: 0,
      capabilities: 1,
      metrics: this.#options.metrics ?? [{ name: "temperature", unit: "Cel" }],
      commands: Object.keys(this.#options.commands ?? {}).map((name) => ({ name })),
      ...(this.#lost === undefined ? {} : { lostBoot: this.#lost.boot, lostTo: this.#lost.to }),
    });
  }

  uptimeUs(): number {
    return Math.round((this.#options.nowMs() - this.#bornMs) * 1000);
  }

  receive(payload: Uint8Array): void {
    const decoded = decodeMessage(payload);
    if (!decoded.ok) throw new Error(`the gateway sent ${decoded.code}`);
    const { message } = decoded;
    this.received.push(message);
    if (!this.linkUp) return;
    switch (message.kind) {
      case "welcome":
        if (message.session !== this.#session) return;
        this.refusedCode = message.code;
        if (message.code !== 0) return;
        this.open = true;
        this.#setWall(message.wallMs);
        this.#hear(message.hlc);
        this.#window = message.window;
        this.#forget(message.boot, message.seq);
        this.#inFlight = 0;
        return this.pump();
      case "helloRequest":
        return this.hello();
      case "durableAck":
        if (message.wallMs !== undefined) this.#setWall(message.wallMs);
        this.#forget(message.boot, message.seq);
        if (message.resend === true) this.#inFlight = 0;
        return this.pump();
      case "shadow":
        this.#hear(message.hlc);
        this.desired = message;
        return;
      case "command":
        this.#hear(message.hlc);
        return this.#command(message);
      default:
        return;
    }
  }

  /** The device's own time-out: everything in flight again. */
  resend(): void {
    this.#inFlight = 0;
    this.pump();
  }

  report(): void {
    const version = this.desired?.version ?? 0;
    const entries = this.desired?.entries ?? [];
    this.raw({ kind: "shadow", role: 1, version, entries, ...this.stamped() });
  }

  pump(): void {
    while (this.open && this.linkUp && this.#inFlight < Math.min(this.#window, this.#ring.length)) {
      const held = this.#ring[this.#inFlight] as Held;
      held.sent = true;
      this.#inFlight += 1;
      this.raw(held.message);
    }
  }

  #command(command: Command): void {
    let answer = this.#answered.get(command.id);
    if (answer === undefined) {
      const handler = this.#options.commands?.[command.name];
      answer = { kind: "commandResult", id: command.id, ...(handler?.(command) ?? { code: 207 }) };
      this.#answered.set(command.id, answer);
    }
    this.raw({ ...answer, ...this.stamped() });
  }

  get #minor(): number {
    return this.#options.minor ?? PROTOCOL_MINOR;
  }

  /** Its wall clock; undefined until it was told. */
  get wallMs(): number | undefined {
    if (this.#wallOffsetMs === undefined) return undefined;
    return Math.floor(this.#options.nowMs() + this.#wallOffsetMs + (this.#options.strayMs?.() ?? 0));
  }

  /** The next stamp, as a message's field. */
  stamped(): { readonly hlc?: bigint } {
    const { wallMs } = this;
    if (wallMs === undefined) return {};
    const wall = BigInt(wallMs) << 16n;
    this.#stamp = this.#stamp >= wall ? this.#stamp + 1n : wall;
    return { hlc: this.#stamp };
  }

  #setWall(wallMs: number): void {
    if (this.#minor >= 3) this.#wallOffsetMs = wallMs - this.#options.nowMs();
  }

  #hear(stamp: bigint | undefined): void {
    const { wallMs } = this;
    if (wallMs === undefined || stamp === undefined || stamp <= this.#stamp) return;
    if (Number(stamp >> 16n) > Math.max(wallMs, Number(this.#stamp >> 16n)) + DRIFT_MS_MAX) this.drifts += 1;
    else this.#stamp = stamp;
  }

  #head(): { boot: number; seq: number; uptimeUs: number } {
    return { boot: this.boot, seq: this.#nextSeq, uptimeUs: this.uptimeUs() };
  }

  #push(made: Sequenced, readings: number): void {
    if (this.#ring.length >= this.#ringMax) this.#drop();
    const message: Sequenced = { ...made, ...this.stamped() };
    this.#ring.push({ boot: this.boot, from: message.seq, message, readings, sent: false });
    this.#nextSeq += 1;
    if (this.#nextSeq > this.#reservedTo) this.#reservedTo += LIMITS.SEQUENCE_RESERVE;
    this.pump();
  }

  /** The oldest message becomes a drop record; one that was sent may be stored and gets a record of its own. */
  #drop(): void {
    const at = this.#ring.findIndex((held) => held.message.kind !== "drop");
    const oldest = this.#ring[at];
    if (oldest === undefined) return;
    const before = this.#ring[at - 1];
    const { boot, seq } = oldest.message;
    const joins =
      before !== undefined &&
      !oldest.sent &&
      !before.sent &&
      before.boot === boot &&
      before.message.seq + 1 === seq;
    if (joins) {
      const drop = before.message as Drop;
      before.message = { ...drop, seq, readings: drop.readings + oldest.readings };
      this.#ring.splice(at, 1);
      if (this.#inFlight > at) this.#inFlight -= 1;
      return;
    }
    oldest.message = {
      kind: "drop",
      boot,
      seq,
      uptimeUs: this.uptimeUs(),
      from: seq,
      readings: oldest.readings,
      ...this.stamped(),
    };
  }

  #forget(boot: number, seq: number): void {
    if (boot === this.boot) this.#lost = undefined;
    while (this.#ring.length > 0) {
      const { message } = this.#ring[0] as Held;
      if (message.boot > boot || (message.boot === boot && message.seq > seq)) return;
      this.#ring.shift();
      if (this.#inFlight > 0) this.#inFlight -= 1;
    }
  }
}
