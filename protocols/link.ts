/**
 * The link on a byte stream: frames in a window, receipts, credits. One side; the device's is firmware/system/link.ts.
 *
 * Problem: a serial line drops and corrupts bytes, and a microcontroller stops reading for some 45 ms while it erases flash.
 * Go-back-N: data frames are numbered in their session; the receiver takes them in order only and answers with a cumulative
 * receipt and the number of frames it has room for. The sender keeps what is not receipted, sends no more than the
 * credits allow, and sends again after silence. Control frames (hello, welcome, receipts) stand outside. A receipt says only that the
 * other side has the frame in memory; durable acknowledgements are messages above this.
 *
 * A session begins when the device's hello names it; both sides then count from 1. A device takes frames of its own session
 * only, so a host that has just started learns the session's number from whatever the device sends, and can ask it for a
 * hello in those words. Time comes in with each call, effects go out through the functions given at construction.
 */
import { encodeFrame, type Frame, FrameReader } from "./frame.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import type { LinkReceipt } from "./messages.generated.ts";
import { type ErrorCode, LIMITS } from "./table.ts";

export interface StreamLinkOptions {
  /** Bytes for the wire; false when it cannot take them now, and the frame is tried again with the next retry. */
  readonly send: (bytes: Uint8Array) => boolean;
  /** A message of the session, in order, once. */
  readonly deliver: (message: Uint8Array) => void;
  /** A damaged or foreign frame; counted by the caller. */
  readonly onError?: (code: ErrorCode) => void;
  /** A whole frame came; `ofSession` is false when it belongs to a session that this side does not know. */
  readonly onFrame?: (ofSession: boolean) => void;
  /** Frames that are sent again after silence. */
  readonly onRetry?: (frames: number) => void;
  /** Messages waiting for the window; beyond it enqueue() refuses. 64 by default. */
  readonly queueMax?: number;
  /** RETRY_MS by default; more where the line is so slow that a frame and its receipt take longer. */
  readonly retryMs?: number;
}

/** Silence after which unreceipted frames are sent again. */
export const RETRY_MS = 250;
/** Kinds that stand outside the window: the ones that open a session. */
const CONTROL_KINDS = new Set(["hello", "helloRequest", "welcome", "linkReceipt"]);
const QUEUE_MAX = 64;
const SESSION_NONE = -1;

export class StreamLink {
  readonly #options: StreamLinkOptions;
  readonly #reader = new FrameReader();
  readonly #retryMs: number;
  #session = SESSION_NONE;
  /** Session of the last whole frame: the one whose control frames the other side takes. */
  #peerSession = 0;
  /** Unreceipted and waiting payloads, oldest first; the first of them has number receipted + 1. */
  #held: Uint8Array[] = [];
  #receipted = 0;
  #sent = 0;
  #credits = 0;
  #received = 0;
  #receiptDue = false;
  #retryAtMs = Number.POSITIVE_INFINITY;
  #hold = false;
  /** Credits were given again, and no frame shows yet that the other side knows. */
  #raised = false;

  constructor(options: StreamLinkOptions) {
    this.#options = options;
    this.#retryMs = options.retryMs ?? RETRY_MS;
  }

  get session(): number {
    return this.#session;
  }
  /** Frames that the other side has not receipted. */
  get unreceipted(): number {
    return this.#held.length;
  }

  /** While held, receipts give no credits: the reader cannot take more now. */
  setHold(hold: boolean): void {
    if (this.#hold === hold) return;
    this.#hold = hold;
    this.#raised = !hold;
    this.#receiptDue = this.#session !== SESSION_NONE;
  }

  /** The wire can take bytes again after send() said false. */
  ready(nowMs: number): void {
    this.#pump(nowMs);
    this.poll(nowMs);
  }

  /** Sends a message in the session's order. False when the queue is full or there is no session: the caller keeps it. */
  enqueue(message: Uint8Array, nowMs: number): boolean {
    const decoded = decodeMessage(message);
    if (decoded.ok && CONTROL_KINDS.has(decoded.message.kind)) return this.#control(message);
    if (this.#session === SESSION_NONE || this.#held.length >= (this.#options.queueMax ?? QUEUE_MAX))
      return false;
    this.#held.push(message);
    this.#pump(nowMs);
    return true;
  }

  /**
   * Behind a delimiter of its own: a frame that was cut short leaves its beginning in the receiver, and the next would be read as its
   * rest. Data frames are sent again soon; a welcome that is lost so is not, until the device says hello again.
   */
  #control(payload: Uint8Array): boolean {
    const frame = encodeFrame({ type: "control", session: this.#peerSession, number: 0, payload });
    const bytes = new Uint8Array(1 + frame.length);
    bytes.set(frame, 1);
    return this.#options.send(bytes);
  }

  /** Bytes from the wire, in any pieces. */
  receive(bytes: Uint8Array, nowMs: number): void {
    this.#reader.push(bytes, (result) => {
      if (!result.ok) return this.#options.onError?.(result.code);
      const { frame } = result;
      this.#peerSession = frame.session;
      if (frame.type === "control") this.#takeControl(frame, nowMs);
      else this.#takeData(frame);
      this.#options.onFrame?.(frame.session === this.#session);
    });
    this.poll(nowMs);
  }

  #takeControl(frame: Frame, nowMs: number): void {
    const decoded = decodeMessage(frame.payload);
    if (!decoded.ok) return this.#options.onError?.(decoded.code);
    const { message } = decoded;
    if (message.kind === "linkReceipt") return this.#takeReceipt(message, nowMs);
    if (message.kind === "hello") this.#open(message.session);
    this.#options.deliver(frame.payload);
  }

  #open(session: number): void {
    this.#session = session;
    this.#held = [];
    this.#receipted = 0;
    this.#sent = 0;
    this.#received = 0;
    this.#credits = LIMITS.LINK_WINDOW_FRAMES;
    this.#receiptDue = false;
    this.#raised = false;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
  }

  #takeData(frame: Frame): void {
    if (frame.session !== this.#session) return;
    this.#receiptDue = true;
    this.#raised = false;
    if (frame.number !== this.#received + 1 || this.#hold) return;
    this.#received += 1;
    this.#options.deliver(frame.payload);
  }

  #takeReceipt(receipt: LinkReceipt, nowMs: number): void {
    const newly = receipt.received - this.#receipted;
    if (receipt.session !== this.#session || newly < 0 || newly > this.#held.length) return;
    this.#held.splice(0, newly);
    this.#sent = Math.max(0, this.#sent - newly);
    this.#receipted = receipt.received;
    this.#credits = receipt.credits;
    // The receipt that gave credits again may have been lost; a device without credits still sends its heartbeat.
    if (this.#raised) this.#receiptDue = true;
    this.#retryAtMs = this.#sent > 0 ? nowMs + this.#retryMs : Number.POSITIVE_INFINITY;
    this.#pump(nowMs);
  }

  #pump(nowMs: number): void {
    const window = Math.min(this.#credits, LIMITS.LINK_WINDOW_FRAMES, this.#held.length);
    while (this.#sent < window) {
      const payload = this.#held[this.#sent] as Uint8Array;
      const number = this.#receipted + this.#sent + 1;
      if (!this.#options.send(encodeFrame({ type: "data", session: this.#session, number, payload }))) break;
      this.#sent += 1;
    }
    // With credits at zero nothing is on the wire that could be lost, but the receipt that raises them may have been.
    if (this.#held.length > 0 && this.#retryAtMs === Number.POSITIVE_INFINITY)
      this.#retryAtMs = nowMs + this.#retryMs;
  }

  /** Sends what is due. Returns when to call again at the latest, Infinity for when something happens. */
  poll(nowMs: number): number {
    if (nowMs >= this.#retryAtMs) {
      if (this.#sent > 0) this.#options.onRetry?.(this.#sent);
      this.#sent = 0;
      this.#retryAtMs = Number.POSITIVE_INFINITY;
      this.#pump(nowMs);
    }
    if (this.#receiptDue && this.#sendReceipt()) this.#receiptDue = false;
    return this.#retryAtMs;
  }

  #sendReceipt(): boolean {
    const credits = this.#hold ? 0 : LIMITS.LINK_WINDOW_FRAMES;
    return this.#control(
      encodeMessage({ kind: "linkReceipt", session: this.#session, received: this.#received, credits }),
    );
  }
}
