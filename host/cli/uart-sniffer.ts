/**
 * Listens in on a board's UART: what a board that cannot be asked (native code has no figures to read) has produced, and what of it is
 * acknowledged. It counts on the wire, before the gateway, so that a reading the gateway loses is missed.
 */
import { FrameReader } from "../../protocols/frame.ts";
import { decodeMessage } from "../../protocols/message.ts";
import type { DurableAck, Message, Welcome } from "../../protocols/messages.generated.ts";

export class UartSniffer {
  readonly #up = new FrameReader();
  readonly #down = new FrameReader();
  /** Sequence numbers seen, by boot; a resend counts once. */
  readonly #seen = new Map<number, Set<number>>();
  #highest = { boot: 0, seq: 0 };
  #acknowledged = { boot: 0, seq: 0 };
  #produced = 0;
  #dropped = 0;
  #open = false;
  #traps = 0;

  /** Readings in messages that have a number, dropped ones included. */
  get produced(): number {
    return this.#produced;
  }
  get dropped(): number {
    return this.#dropped;
  }
  /** The gateway has welcomed the board. */
  get isOpen(): boolean {
    return this.#open;
  }
  /** Messages said and not yet acknowledged, of the newest boot. */
  get held(): number {
    const { boot, seq } = this.#acknowledged;
    return this.#highest.boot > boot ? this.#highest.seq : Math.max(0, this.#highest.seq - seq);
  }
  get traps(): number {
    return this.#traps;
  }

  up(bytes: Uint8Array): void {
    this.#up.push(bytes, (result) => {
      const decoded = result.ok ? decodeMessage(result.frame.payload) : undefined;
      if (decoded?.ok) this.#said(decoded.message);
    });
  }
  down(bytes: Uint8Array): void {
    this.#down.push(bytes, (result) => {
      const decoded = result.ok ? decodeMessage(result.frame.payload) : undefined;
      if (!decoded?.ok) return;
      const { message } = decoded;
      if (message.kind === "welcome") this.#open = message.code === 0;
      if (message.kind === "durableAck" || message.kind === "welcome") this.#acknowledge(message);
    });
  }

  #said(message: Message): void {
    if (message.kind === "hello") this.#open = false;
    if (!("seq" in message && "uptimeUs" in message)) return;
    const known = this.#seen.get(message.boot) ?? new Set<number>();
    this.#seen.set(message.boot, known);
    if (known.has(message.seq)) {
      // Sent before and dropped since: it was counted when it was sent.
      if (message.kind === "drop" && !known.has(-message.seq)) this.#dropped += message.readings;
      if (message.kind === "drop") known.add(-message.seq);
      return;
    }
    known.add(message.seq);
    const { boot, seq } = message;
    if (boot > this.#highest.boot || seq > this.#highest.seq) this.#highest = { boot, seq };
    if (message.kind === "telemetry") this.#produced += message.readings.length;
    if (message.kind === "drop") {
      known.add(-message.seq);
      this.#produced += message.readings;
      this.#dropped += message.readings;
    }
    if (message.kind === "error") this.#traps += 1;
  }

  #acknowledge({ boot, seq }: Welcome | DurableAck): void {
    const known = this.#acknowledged;
    if (boot > known.boot || (boot === known.boot && seq > known.seq)) this.#acknowledged = { boot, seq };
  }
}
