/**
 * A gateway of few lines at the other end of a board's stream: the host's side of the link is the real one (protocols/link.ts), above
 * it what came is kept, and acknowledged when told to.
 */
import { FrameReader } from "../../../protocols/frame.ts";
import { StreamLink } from "../../../protocols/link.ts";
import { decodeMessage, encodeMessage } from "../../../protocols/message.ts";
import type { CommandResult, Hello, Message } from "../../../protocols/messages.generated.ts";
import type { TargetBoard } from "./target.ts";

/** What a board says in its sequence. */
export type Sequenced = Extract<Message, { readonly seq: number; readonly uptimeUs: number }>;

/** Longer than any backoff of a hello that was lost, a restart included. */
const ANSWER_MS = 10_000;

export class StreamRig {
  readonly board: TargetBoard;
  readonly link: StreamLink;
  /** Every message that came up, in order, repetitions included. */
  readonly received: Message[] = [];
  /** Each sequenced message once, in the order of its first arrival. */
  readonly accepted: Sequenced[] = [];
  readonly errors: string[] = [];
  /** Acknowledge sequenced messages as they come. */
  acknowledge = true;
  /** False: the line is cut, both ways. */
  connected = true;
  window = 8;
  /** What a welcome says of the time; by default nothing, so that the board stamps nothing. */
  time: { readonly wallMs: number; readonly hlc?: bigint } = { wallMs: 0 };
  /** Changes bytes on their way to the gateway, as a bad line does. */
  noise: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  #durable = { boot: 0, seq: 0 };
  #commands = 0;
  /** Credits that the board gave, one for each receipt of it. */
  readonly credits: number[] = [];
  readonly #sniffer = new FrameReader();

  constructor(board: TargetBoard) {
    this.board = board;
    this.link = new StreamLink({
      send: (bytes) => {
        if (this.connected) board.write(bytes);
        return true;
      },
      deliver: (message) => this.#take(message),
      onError: (code) => this.errors.push(code),
    });
    board.onBytes = (bytes) => {
      if (!this.connected) return;
      this.#sniff(bytes);
      this.link.receive(this.noise(bytes), board.nowMs());
    };
  }

  #sniff(bytes: Uint8Array): void {
    this.#sniffer.push(bytes, (result) => {
      if (!result.ok || result.frame.type !== "control") return;
      const decoded = decodeMessage(result.frame.payload);
      if (decoded.ok && decoded.message.kind === "linkReceipt") this.credits.push(decoded.message.credits);
    });
  }

  #take(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) throw new Error(`the board sent ${decoded.code} at ${decoded.at}`);
    const { message } = decoded;
    this.received.push(message);
    if (message.kind === "hello") {
      const { session } = message;
      if (this.#durable.boot === 0) this.#durable = { boot: message.oldestBoot, seq: message.oldestSeq - 1 };
      this.send({ kind: "welcome", session, code: 0, ...this.#durable, window: this.window, ...this.time });
    } else if ("seq" in message && "uptimeUs" in message) this.#sequenced(message);
  }

  #sequenced(message: Sequenced): void {
    const { boot, seq } = this.#durable;
    const from = message.kind === "drop" ? message.from : message.seq;
    const isNext = message.boot === boot ? from === seq + 1 : message.boot > boot && from === 1;
    if (isNext) {
      this.accepted.push(message);
      this.#durable = { boot: message.boot, seq: message.seq };
    }
    if (this.acknowledge) this.send({ kind: "durableAck", ...this.#durable });
  }

  send(message: Message): void {
    this.link.enqueue(encodeMessage(message), this.board.nowMs());
  }

  of<K extends Message["kind"]>(kind: K): Extract<Message, { kind: K }>[] {
    return this.received.filter((message) => message.kind === kind) as never;
  }

  /** Runs a command of the app and waits for its answer; throws when there is none. */
  async command(
    name: string,
    args: Readonly<Record<string, number>> = {},
    stamp: { readonly hlc?: bigint } = {},
  ): Promise<CommandResult> {
    this.#commands += 1;
    const id = this.#commands;
    const list = Object.entries(args).map(([key, value]) => ({ key, value }));
    const find = () => this.of("commandResult").find((result) => result.id === id);
    this.send({ kind: "command", id, name, args: list, ...stamp });
    if (!(await this.until(ANSWER_MS, () => find() !== undefined)))
      throw new Error(
        `${name} was not answered; ${this.received.length} messages, ${this.errors.length} errors`,
      );
    return find() as CommandResult;
  }

  /** Asks for another hello, whose welcome says `time`, and waits for what the board says then. */
  async greetAgain(time: StreamRig["time"]): Promise<void> {
    this.time = time;
    this.send({ kind: "helloRequest", code: 0 });
    await this.open();
  }

  /** Until the session is open and the board has told its state. */
  async open(): Promise<void> {
    const before = this.of("shadow").length;
    if (!(await this.until(ANSWER_MS, () => this.of("shadow").length > before)))
      throw new Error(`no session: ${this.received.map(({ kind }) => kind).join(" ")}`);
  }

  get hello(): Hello | undefined {
    return this.of("hello").at(-1);
  }

  /** For what must happen: false when it did not within `ms`, or within the patience that a board on the wall's time needs. */
  until(ms: number, holds: () => boolean): Promise<boolean> {
    return this.run(Math.max(ms, this.board.patienceMs ?? 0), holds);
  }

  /** Runs the board and this side of the link. True when `until` came to hold. */
  async run(ms: number, until?: () => boolean): Promise<boolean> {
    await this.board.run(ms, () => {
      this.link.poll(this.board.nowMs());
      return until?.() ?? false;
    });
    return until?.() ?? false;
  }
}
