/**
 * From a device's payload to an acknowledgement that means "on disk".
 *
 * receive() decodes, lets the session judge, appends to the log and returns; when a sync covers the records, every device in
 * it gets one cumulative acknowledgement. Nothing is awaited and no closure is made for a message. Whatever is wrong with a
 * payload becomes a code in the error monitor; nothing is thrown at the broker.
 */
import { isTardigradeError } from "../../protocols/error.ts";
import { decodeMessage } from "../../protocols/message.ts";
import type { Drop, Hello, Message } from "../../protocols/messages.generated.ts";
import { ERRORS, type ErrorCode, LIMITS } from "../../protocols/table.ts";
import type { Clock, Dispose, Meter } from "../io/seams.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { Entry, Ledger } from "./ledger.ts";
import {
  advance,
  applyHello,
  HELLO_ASK_MS,
  judge,
  judgeHello,
  mayAskHello,
  mayAskResend,
  newSession,
  type Sequenced,
  type Session,
  synced,
  syncedHello,
} from "./session.ts";

/** Accepted and not yet on disk, of one device: twice its window. Beyond it the device is asked to send again. */
export const DEVICE_PENDING_MAX = 2 * LIMITS.MESSAGE_WINDOW_MAX;
/** Devices without a session whose last request for a hello is remembered. */
const STRANGERS_MAX = 4096;
/** Least time between two acknowledgements that tell a device the wall clock; its crystal strays by 3 ms in that time. */
export const WALL_TOLD_MS = 60_000;
/** Acknowledgements of duplicates are gathered for this long. */
const ACK_AGAIN_MS = 5;

export interface IngestOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  readonly devicesMax: number;
  /** Other gateways serve devices of this site, too. */
  readonly isShared: () => boolean;
  /** To the device's `down` topic. */
  readonly send: (device: string, message: Message) => void;
  /** Any valid message came from it. */
  readonly heard: (device: string) => void;
  /** A session was opened. */
  readonly opened: (device: string, hello: Hello) => void;
  /** A message that has no sequence number; true when it should be logged. */
  readonly unsequenced: (device: string, message: Message) => boolean;
}

export interface IngestTotals {
  accepted: number;
  duplicates: number;
  refused: number;
}

export class Ingest {
  readonly #options: IngestOptions;
  readonly sessions = new Map<string, Session>();
  readonly totals: IngestTotals = { accepted: 0, duplicates: 0, refused: 0 };
  readonly #duplicates = new Map<string, number>();
  readonly #strangers = new Map<string, number>();
  readonly #ackDue = new Set<Session>();
  #ackTimer: Dispose | undefined;

  constructor(options: IngestOptions) {
    this.#options = options;
    options.ledger.onDurable((entries) => this.#acknowledge(entries));
  }

  /** Duplicates of a device in this gateway's life. */
  duplicatesOf(device: string): number {
    return this.#duplicates.get(device) ?? 0;
  }

  receive(device: string, payload: Uint8Array): void {
    if (payload.length > LIMITS.MESSAGE_BYTES_MAX) {
      const message = `${device} sent ${payload.length} bytes; a message has at most ${LIMITS.MESSAGE_BYTES_MAX}.`;
      return this.#refuse("PAYLOAD_OVERSIZE", device, message);
    }
    const decoded = decodeMessage(payload);
    if (!decoded.ok) {
      const message = `A payload of ${device} is no message: ${decoded.code} at byte ${decoded.at}.`;
      return this.#refuse(decoded.code, device, message);
    }
    const message = decoded.message;
    switch (message.kind) {
      case "telemetry":
      case "event":
      case "log":
      case "error":
      case "drop":
        return this.#sequenced(device, message, payload);
      case "hello":
        return this.#hello(device, message, payload);
      case "pinStatus":
      case "shadow":
      case "commandResult":
        return this.#unsequenced(device, message, payload);
      default:
        this.#refuse("MESSAGE_KIND", device, `${device} sent a ${message.kind}, which only a gateway sends.`);
    }
  }

  /** Asks known devices for a hello; after a start none has a session. */
  askHellos(isWanted: (device: string) => boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const session of this.sessions.values()) {
      if (!session.open && isWanted(session.device)) this.#askHello(session, nowMs, "SESSION_UNKNOWN");
    }
  }

  /** Another gateway serves it from now on: it greets until that one answers. Should it come back, its hello says what happened meanwhile. */
  release(device: string): void {
    const session = this.sessions.get(device);
    if (session === undefined || !session.open) return;
    session.open = false;
    session.helloWanted = false;
    this.#options.send(device, { kind: "helloRequest", code: ERRORS.DEVICE_ELSEWHERE.number });
  }

  /** Devices that count against the limit: where others may have taken some over, those that are served. */
  #held(): number {
    if (!this.#options.isShared()) return this.sessions.size;
    let open = 0;
    for (const session of this.sessions.values()) if (session.open) open += 1;
    return open;
  }

  close(): void {
    this.#ackTimer?.();
    this.#ackTimer = undefined;
  }

  #sequenced(device: string, message: Sequenced, payload: Uint8Array): void {
    const session = this.sessions.get(device);
    if (session === undefined) return this.#stranger(device);
    this.#options.heard(device);
    switch (judge(session, message)) {
      case "accept":
        return this.#accept(session, message, payload);
      case "duplicate":
        return this.#duplicate(session, message);
      case "stale":
        this.#report(
          "BOOT_STALE",
          device,
          `${device} sent a message of boot ${message.boot}, which is over.`,
        );
        return this.#duplicate(session, message);
      case "overlap":
        return this.#overlap(session, message as Drop);
      case "gap":
        return this.#askResend(session, message);
      case "newerBoot":
        session.helloWanted = true;
        return this.#askWanted(session);
      case "unknown":
        this.#report("SESSION_UNKNOWN", device, `${device} sent a message before its hello.`);
        return this.#askHello(session, this.#options.clock.monotonicMs(), "SESSION_UNKNOWN");
      case "invalid":
        this.#refuse("CBOR_RANGE", device, `${device} sent sequence numbers that make no sense.`);
    }
  }

  #accept(session: Session, message: Sequenced, payload: Uint8Array): void {
    if (session.pendingCount >= DEVICE_PENDING_MAX) {
      this.#refuse(
        "QUEUE_FULL",
        session.device,
        `${session.device} has too many messages waiting for the disk.`,
      );
      return;
    }
    const heard = message.hlc === undefined || this.#options.ledger.receiveStamp(message.hlc);
    if (!this.#append(session, { type: "message", message }, payload)) return;
    advance(session, message);
    this.totals.accepted += 1;
    if (!heard) this.#drifted(session.device, message.hlc as bigint);
  }

  /** The message is taken all the same: under our stamp alone. */
  #drifted(device: string, stamp: bigint): void {
    const aheadMs = Math.ceil(Number(stamp >> 16n) - this.#options.clock.wallMs());
    this.#options.monitor.report("CLOCK_DRIFT", {
      component: "ingest",
      device,
      message: `${device} stamps ${aheadMs} ms ahead of this gateway's clock; its messages are kept, its stamps do not count. Was the gateway's clock set back, or did the device come from another gateway, time mends it; else restart the device, which then asks for the time.`,
      context: { aheadMs },
    });
  }

  #overlap(session: Session, drop: Drop): void {
    const { device } = session;
    const from = session.seq + 1;
    this.#report(
      "DROP_OVERLAP",
      device,
      `${device} dropped ${drop.from} to ${drop.seq} of boot ${drop.boot}, of which those before ${from} are stored.`,
    );
    const gap = { boot: drop.boot, from, toBoot: drop.boot, to: drop.seq, reason: "drop-overlap" } as const;
    if (this.#append(session, { type: "gap", gap })) advance(session, drop);
  }

  #append(session: Session, body: Entry["body"], raw?: Uint8Array): boolean {
    const { device } = session;
    try {
      this.#options.ledger.append(body, raw === undefined ? { device, session } : { device, session, raw });
      return true;
    } catch (error) {
      const code = isTardigradeError(error) ? error.code : "INTERNAL";
      this.#refuse(code, device, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #duplicate(session: Session, message: Sequenced): void {
    const { device } = session;
    this.totals.duplicates += 1;
    this.#duplicates.set(device, (this.#duplicates.get(device) ?? 0) + 1);
    this.#options.meter.count("tardigrade_duplicates_total");
    // What is accepted and not yet synced is acknowledged with the rest, when it is.
    const onDisk =
      message.boot < session.durableBoot ||
      (message.boot === session.durableBoot && message.seq <= session.durableSeq);
    if (!onDisk) return;
    this.#ackDue.add(session);
    this.#ackTimer ??= this.#options.clock.alarm(ACK_AGAIN_MS, () => {
      this.#ackTimer = undefined;
      this.#flushAcks();
    });
  }

  #askResend(session: Session, message: Sequenced): void {
    const { device } = session;
    this.#report(
      "SEQUENCE_GAP",
      device,
      `${device} sent ${message.seq} of boot ${message.boot} where ${session.seq + 1} is next.`,
    );
    if (!mayAskResend(session, this.#options.clock.monotonicMs())) return;
    this.#options.send(device, {
      kind: "durableAck",
      boot: session.durableBoot,
      seq: session.durableSeq,
      resend: true,
    });
  }

  /** Asked when the acknowledgement of all that precedes is out, so that the answer can say that nothing older is left. */
  #askWanted(session: Session): void {
    if (session.pendingCount === 0) this.#askHello(session, this.#options.clock.monotonicMs(), undefined);
  }

  #askHello(session: Session, nowMs: number, code: ErrorCode | undefined): void {
    if (!mayAskHello(session, nowMs)) return;
    const number = code === undefined ? 0 : ERRORS[code].number;
    this.#options.send(session.device, { kind: "helloRequest", code: number });
  }

  /** A device that never said hello to this gateway. */
  #stranger(device: string): void {
    this.#report("SESSION_UNKNOWN", device, `${device} sent a message before its hello.`);
    const nowMs = this.#options.clock.monotonicMs();
    const askedMs = this.#strangers.get(device);
    if (askedMs !== undefined && nowMs - askedMs < HELLO_ASK_MS) return;
    if (this.#strangers.size >= STRANGERS_MAX) this.#strangers.clear();
    this.#strangers.set(device, nowMs);
    this.#options.send(device, { kind: "helloRequest", code: ERRORS.SESSION_UNKNOWN.number });
  }

  #hello(device: string, hello: Hello, payload: Uint8Array): void {
    let session = this.sessions.get(device);
    if (session === undefined && this.#held() >= this.#options.devicesMax) {
      const limit = this.#options.devicesMax;
      this.#refuse("DEVICE_LIMIT", device, `${device} is one too many: the gateway holds ${limit} devices.`);
      return this.#welcome(newSession(device), hello, "DEVICE_LIMIT");
    }
    session ??= newSession(device);
    const wallMs = this.#options.clock.wallMs();
    const verdict = judgeHello(session, hello, this.#options.isShared() ? { wallMs } : undefined);
    if (verdict.kind === "refuse") {
      const message = `${device} speaks protocol ${hello.major}.${hello.minor}; update the older side.`;
      this.#refuse("PROTOCOL_VERSION", device, message);
      return this.#welcome(session, hello, "PROTOCOL_VERSION");
    }
    this.#options.heard(device);
    if (verdict.kind === "repeat") return this.#welcome(session, hello, undefined);
    // A replaced device starts with a session of its own: what the old one still has unsynced moves the old watermark only.
    const target = verdict.replaced ? newSession(device) : session;
    const { boot, seq, replaced, gaps } = verdict;
    if (!this.#append(target, { type: "hello", hello, boot, seq, replaced, gaps }, payload)) return;
    if (replaced) {
      const message = `${device} counts boots anew (${hello.boot} after ${session.helloBoot}); it is taken as a new device.`;
      this.#report("BOOT_STALE", device, message);
    }
    for (const gap of gaps) {
      if (gap.reason === "elsewhere") continue;
      const upTo = gap.toBoot === gap.boot ? gap.to : `${gap.to} of boot ${gap.toBoot}`;
      const message = `${device} may have lost ${gap.from} of boot ${gap.boot} to ${upTo} (${gap.reason}).`;
      this.#report("POSSIBLE_GAP", device, message);
    }
    applyHello(target, hello, verdict, wallMs);
    this.sessions.set(device, target);
    this.#strangers.delete(device);
    this.#welcome(target, hello, undefined);
    this.#options.opened(device, hello);
  }

  #welcome(session: Session, hello: Hello, refused: ErrorCode | undefined): void {
    const { clock, ledger } = this.#options;
    session.wallToldMs = clock.monotonicMs();
    this.#options.send(session.device, {
      kind: "welcome",
      session: hello.session,
      code: refused === undefined ? 0 : ERRORS[refused].number,
      boot: session.durableBoot,
      seq: session.durableSeq,
      window: LIMITS.MESSAGE_WINDOW_MAX,
      wallMs: clock.wallMs(),
      hlc: ledger.lastStamp,
    });
  }

  #unsequenced(device: string, message: Message, payload: Uint8Array): void {
    const session = this.sessions.get(device);
    if (session === undefined) return this.#stranger(device);
    this.#options.heard(device);
    const { ledger } = this.#options;
    const stamp = "hlc" in message ? message.hlc : undefined;
    if (stamp !== undefined && !ledger.receiveStamp(stamp)) this.#drifted(device, stamp);
    if (!this.#options.unsequenced(device, message)) return;
    try {
      ledger.append({ type: "message", message }, { device, raw: payload });
    } catch (error) {
      const code = isTardigradeError(error) ? error.code : "INTERNAL";
      this.#refuse(code, device, error instanceof Error ? error.message : String(error));
    }
  }

  /** A sync has covered these: the only place from which an acknowledgement of something new is sent. */
  #acknowledge(entries: readonly Entry[]): void {
    let messages = 0;
    for (const entry of entries) {
      const { session, body } = entry;
      if (session === undefined) continue;
      let risen = false;
      if (body.type === "message") {
        messages += 1;
        risen = synced(session, body.message as Sequenced);
      } else if (body.type === "hello") syncedHello(session, body);
      else if (body.type === "gap") risen = synced(session, { boot: body.gap.toBoot, seq: body.gap.to });
      if (risen) this.#ackDue.add(session);
    }
    if (messages > 0) this.#options.meter.count("tardigrade_messages_total", undefined, messages);
    this.#flushAcks();
  }

  #flushAcks(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const session of this.#ackDue) {
      // Not for the session of a device that was replaced meanwhile.
      if (!session.open || this.sessions.get(session.device) !== session) continue;
      const { durableBoot: boot, durableSeq: seq } = session;
      if (nowMs - session.wallToldMs < WALL_TOLD_MS) {
        this.#options.send(session.device, { kind: "durableAck", boot, seq });
      } else {
        session.wallToldMs = nowMs;
        this.#options.send(session.device, { kind: "durableAck", boot, seq, wallMs: clock.wallMs() });
      }
      if (session.helloWanted) this.#askWanted(session);
    }
    this.#ackDue.clear();
  }

  #refuse(code: ErrorCode, device: string, message: string): void {
    this.totals.refused += 1;
    this.#report(code, device, message);
  }

  #report(code: ErrorCode, device: string, message: string): void {
    this.#options.monitor.report(code, { component: "ingest", device, message });
  }
}
