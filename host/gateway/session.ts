/**
 * A device's session as a state machine: what came, and what becomes of it. No clock, no IO; `now` and the bytes' fate are the
 * caller's. Judging changes nothing, so a message that the log refuses leaves no trace; advance() and applyHello() are called
 * when the log has taken the record.
 *
 * The watermark (boot, seq) is the last message accepted. Only the next in order is accepted: a hole would be forgotten by the
 * device as soon as a cumulative acknowledgement passed it. A newer boot is never entered by a message, only by a hello that
 * states it as the oldest one held: between the last message of the old boot and the first of the new one nothing in the
 * numbers tells whether something is missing, only the device knows.
 */
import type { Drop, Hello, Message } from "../../protocols/messages.generated.ts";
import { PROTOCOL_MAJOR } from "../../protocols/table.ts";
import type { Gap } from "./record.ts";

/** Hellos whose repetition is recognised: a broker may deliver one again after a reconnect. */
export const RECENT_SESSIONS_MAX = 8;
/** A resend is asked for once until there is progress or this time has passed; the same for asking for a hello. */
export const RESEND_ASK_MS = 1000;
export const HELLO_ASK_MS = 500;

export interface Session {
  readonly device: string;
  /** False until the first hello; then the watermark means something. */
  known: boolean;
  /** The watermark: last message accepted, synced or not. */
  boot: number;
  seq: number;
  /** Last message on disk; never above the watermark. */
  durableBoot: number;
  durableSeq: number;
  /** Accepted, not yet on disk. */
  pendingCount: number;
  /** The hello of this gateway's life; undefined until it came. */
  open: boolean;
  /** Boot of the newest hello, and the highest uptime heard in it. */
  helloBoot: number;
  uptimeUs: number;
  /** When that boot began, by the wall clock at its newest hello. */
  originMs: number;
  readonly recentSessions: number[];
  resendAskedMs: number;
  resendAskedSeq: number;
  helloAskedMs: number;
  /** When the device was last told the wall clock. */
  wallToldMs: number;
  /** A message of a newer boot came: a hello is asked for as soon as what precedes it is on disk. */
  helloWanted: boolean;
}

export function newSession(device: string): Session {
  return {
    device,
    known: false,
    boot: 0,
    seq: 0,
    durableBoot: 0,
    durableSeq: 0,
    pendingCount: 0,
    open: false,
    helloBoot: 0,
    uptimeUs: 0,
    originMs: 0,
    recentSessions: [],
    resendAskedMs: Number.NEGATIVE_INFINITY,
    resendAskedSeq: -1,
    helloAskedMs: Number.NEGATIVE_INFINITY,
    wallToldMs: Number.NEGATIVE_INFINITY,
    helloWanted: false,
  };
}

export type Sequenced = Extract<Message, { readonly seq: number; readonly uptimeUs: number }>;

/**
 * - accept: the next in order.
 * - duplicate: at or below the watermark.
 * - stale: of a boot that is over; a late copy, since the device said that it holds nothing of that boot.
 * - overlap: a drop record that begins below the watermark and ends above it.
 * - gap: something is missing before it.
 * - newerBoot: a hello must tell first that nothing older is left.
 * - unknown: no hello in this gateway's life.
 * - invalid: numbers that make no sense.
 */
export type Verdict =
  | "accept"
  | "duplicate"
  | "stale"
  | "overlap"
  | "gap"
  | "newerBoot"
  | "unknown"
  | "invalid";

export function judge(session: Session, message: Sequenced): Verdict {
  const { boot, seq } = message;
  const from = message.kind === "drop" ? (message as Drop).from : seq;
  if (seq === 0 || from === 0 || from > seq) return "invalid";
  if (!session.open) return "unknown";
  if (boot > session.boot) return "newerBoot";
  if (boot < session.boot) return "stale";
  const next = session.seq + 1;
  if (from === next) return "accept";
  if (seq < next) return "duplicate";
  return from < next ? "overlap" : "gap";
}

/** The log has taken the message. */
export function advance(session: Session, message: Sequenced): void {
  session.seq = message.seq;
  session.pendingCount += 1;
  if (message.boot === session.helloBoot && message.uptimeUs > session.uptimeUs) {
    session.uptimeUs = message.uptimeUs;
  }
}

/** A message is on disk. True when the durable watermark rose, so that an acknowledgement is due. */
export function synced(session: Session, message: { readonly boot: number; readonly seq: number }): boolean {
  if (session.pendingCount > 0) session.pendingCount -= 1;
  if (!isAfter(message, { boot: session.durableBoot, seq: session.durableSeq })) return false;
  session.durableBoot = message.boot;
  session.durableSeq = message.seq;
  return true;
}

/** A hello is on disk, and with it the watermark it set and the gaps it told of. */
export function syncedHello(
  session: Session,
  watermark: { readonly boot: number; readonly seq: number },
): void {
  if (!isAfter(watermark, { boot: session.durableBoot, seq: session.durableSeq })) return;
  session.durableBoot = watermark.boot;
  session.durableSeq = watermark.seq;
}

/** True when a resend should be asked for now; remembers that it was. */
export function mayAskResend(session: Session, nowMs: number): boolean {
  if (session.resendAskedSeq === session.seq && nowMs - session.resendAskedMs < RESEND_ASK_MS) return false;
  session.resendAskedSeq = session.seq;
  session.resendAskedMs = nowMs;
  return true;
}

export function mayAskHello(session: Session, nowMs: number): boolean {
  if (nowMs - session.helloAskedMs < HELLO_ASK_MS) return false;
  session.helloAskedMs = nowMs;
  return true;
}

/** What a hello means, before anything is written. */
export type HelloVerdict =
  | { readonly kind: "refuse" }
  /** Heard already: answered again, nothing changes. */
  | { readonly kind: "repeat" }
  | {
      readonly kind: "accept";
      readonly boot: number;
      readonly seq: number;
      readonly replaced: boolean;
      readonly gaps: readonly Gap[];
    };

/** Where several gateways share a site, another may have stored what is not here, and a device may have been erased meanwhile. */
export interface Sharing {
  readonly wallMs: number;
}

export function judgeHello(session: Session, hello: Hello, shared?: Sharing): HelloVerdict {
  if (hello.major !== PROTOCOL_MAJOR) return { kind: "refuse" };
  if (session.open && session.recentSessions.includes(hello.session)) return { kind: "repeat" };
  const { oldestBoot, oldestSeq } = hello;
  const before = { boot: oldestBoot, seq: Math.max(oldestSeq, 1) - 1 };
  const replaced = isReplaced(session, hello) || isAnotherLife(session, hello, shared);
  if (!session.known || replaced) {
    const gaps: Gap[] = [];
    // Nothing of this device is here, so its first message is as lost as its last.
    const lost = lostGap({ boot: 1, seq: 0 }, hello);
    if (lost !== undefined) gaps.push(lost);
    if (before.seq > 0) gaps.push(gapTo(before, 1, shared === undefined ? "adopted" : "elsewhere"));
    return { kind: "accept", ...before, replaced, gaps };
  }
  const gaps: Gap[] = [];
  const lost = lostGap(session, hello);
  if (lost !== undefined) gaps.push(lost);
  if (oldestBoot < session.boot || (oldestBoot === session.boot && before.seq <= session.seq)) {
    return { kind: "accept", boot: session.boot, seq: session.seq, replaced, gaps };
  }
  const from = oldestBoot === session.boot ? session.seq + 1 : 1;
  if (before.seq >= from) gaps.push(gapTo(before, from, shared === undefined ? "missing" : "elsewhere"));
  return { kind: "accept", ...before, replaced, gaps };
}

/**
 * Boot counters rise and uptime only grows within a boot. Where either went back, the device's journal was erased (or another
 * device took the name); its numbers start anew, and to compare them with the old watermark would drop what it sends.
 */
function isReplaced(session: Session, hello: Hello): boolean {
  if (!session.known || session.recentSessions.includes(hello.session)) return false;
  if (hello.boot < session.helloBoot) return true;
  return hello.boot === session.helloBoot && hello.uptimeUs < session.uptimeUs;
}

/** Clocks of gateways and crystals of devices are not further apart than that, and no device boots twice as fast. */
const ORIGIN_MS = 60_000;

/** A boot of the same number that began at another time: the journal was erased while another gateway served the device. */
function isAnotherLife(session: Session, hello: Hello, shared: Sharing | undefined): boolean {
  if (shared === undefined || !session.known || session.originMs === 0) return false;
  if (hello.boot !== session.helloBoot) return false;
  if (session.recentSessions.includes(hello.session)) return false;
  const strayMs = hello.uptimeUs / 1000 / 1000;
  return Math.abs(originOf(hello, shared.wallMs) - session.originMs) > ORIGIN_MS + strayMs;
}

function originOf(hello: Hello, wallMs: number): number {
  return wallMs - hello.uptimeUs / 1000;
}

/**
 * What a power cut may have taken and this gateway has not stored: everything after the watermark, the boots between
 * included, for a ring that held messages of several boots is lost as a whole, and only the last cut is stated.
 */
function lostGap(session: Pick<Session, "boot" | "seq">, hello: Hello): Gap | undefined {
  const { lostBoot, lostTo } = hello;
  if (lostBoot === undefined || lostTo === undefined) return undefined;
  if (lostBoot < session.boot || lostBoot >= hello.boot) return undefined;
  const from = session.seq + 1;
  // A device that still holds messages of that boot has not lost them.
  if (hello.oldestBoot <= lostBoot || (lostBoot === session.boot && lostTo < from)) return undefined;
  return { boot: session.boot, from, toBoot: lostBoot, to: lostTo, reason: "power-cut" };
}

function gapTo(last: { boot: number; seq: number }, from: number, reason: Gap["reason"]): Gap {
  return { boot: last.boot, from, toBoot: last.boot, to: last.seq, reason };
}

/** The log has taken the hello. */
export function applyHello(
  session: Session,
  hello: Hello,
  verdict: Extract<HelloVerdict, { kind: "accept" }>,
  wallMs: number,
): void {
  session.known = true;
  session.open = true;
  session.boot = verdict.boot;
  session.seq = verdict.seq;
  // The durable watermark follows when the record is on disk: a device stops stating what a power cut took as soon as it
  // is told of anything durable in its new boot.
  session.uptimeUs =
    hello.boot === session.helloBoot && !verdict.replaced
      ? Math.max(session.uptimeUs, hello.uptimeUs)
      : hello.uptimeUs;
  session.helloBoot = hello.boot;
  session.originMs = originOf(hello, wallMs);
  rememberSession(session.recentSessions, hello.session);
  session.resendAskedSeq = -1;
  session.helloWanted = false;
}

export function rememberSession(recent: number[], session: number): void {
  if (recent.includes(session)) return;
  recent.push(session);
  if (recent.length > RECENT_SESSIONS_MAX) recent.shift();
}

function isAfter(
  a: { readonly boot: number; readonly seq: number },
  b: { readonly boot: number; readonly seq: number },
): boolean {
  return a.boot > b.boot || (a.boot === b.boot && a.seq > b.seq);
}
