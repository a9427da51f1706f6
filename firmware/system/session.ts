/**
 * The session with the gateway: hello, window, durable acknowledgement, resend.
 *
 *   down --link up--> greeting --welcome(code 0)--> open --link down--> down
 *                       |  ^                          |
 *                 refused  '--helloRequest, silence---'
 *
 * At most `window` messages are in flight beyond the last durable acknowledgement. No progress within RESEND_US sends them
 * again; RESENDS_MAX times without progress starts over with hello, whose own repetition backs off exponentially with
 * jitter (Brooker, "Exponential backoff and jitter"), since a whole fleet greets a gateway that has just restarted.
 */
import {
  KIND_DROP,
  KIND_HELLO,
  MESSAGE_WINDOW_MAX,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
} from "../../assembly/codec/schema.generated";
import { BACKOFF_EXPONENTIAL, backoffUs, JITTER_EQUAL } from "../../assembly/resilience/retry";
import { bootLossStated, bootLost, bootLostTo, bootNumber } from "./boot";
import { buildEnd, buildStart, buildText, buildUint, built } from "./build";
import { clockSet, clockStamp, clockWelcome } from "./clock";
import { helloCommands } from "./commands";
import { hal_capabilities, hal_identity, hal_now_us, hal_random, hal_reset_reason } from "./hal";
import { linkReset, linkSend, linkSendControl } from "./link";
import { reserve } from "./memory";
import {
  outboxAcknowledge,
  outboxDropBoot,
  outboxDropFrom,
  outboxDropReadings,
  outboxDropTo,
  outboxInFlight,
  outboxNextIsDrop,
  outboxNextLength,
  outboxNextPtr,
  outboxOldestBoot,
  outboxOldestSequence,
  outboxRewind,
  outboxSent,
  outboxUnsent,
} from "./outbox";
import { appStopped } from "./supervisor";
import { helloMetrics } from "./telemetry";
import { NEVER } from "./timers";

const DOWN: u32 = 0;
const GREETING: u32 = 1;
const OPEN: u32 = 2;
const REFUSED: u32 = 3;

const HELLO_BASE_US: u32 = 1_000_000;
const HELLO_CAP_US: u32 = 30_000_000;
/** A device of another protocol version asks again so seldom that it only shows up in the gateway's errors. */
const REFUSED_US: u64 = 60_000_000;
const RESEND_US: u64 = 3_000_000;
const RESENDS_MAX: u32 = 3;
const IDENTITY_BYTES: i32 = 24;

let state: u32 = DOWN;
let sessionId: u32 = 0;
let window: u32 = MESSAGE_WINDOW_MAX;
let attempts: u32 = 0;
let resends: u32 = 0;
let wakeAt: u64 = NEVER;
let generation: u32 = 0;
const identity: usize = reserve(<usize>IDENTITY_BYTES * 3);

export function sessionIsOpen(): bool {
  return state == OPEN;
}
/** Rises with each opened session, so that others know to send their state again. */
export function sessionGeneration(): u32 {
  return generation;
}
export function sessionDeadline(): u64 {
  return wakeAt;
}

export function sessionLinkUp(): void {
  attempts = 0;
  state = GREETING;
  greet();
}
export function sessionLinkDown(): void {
  state = DOWN;
  wakeAt = NEVER;
}
export function sessionHelloRequested(): void {
  if (state == DOWN) return;
  attempts = 0;
  state = GREETING;
  greet();
}

function greet(): void {
  sessionId = hal_random();
  linkReset(sessionId);
  buildStart(KIND_HELLO);
  buildUint(1, PROTOCOL_MAJOR);
  buildUint(2, PROTOCOL_MINOR);
  buildUint(3, bootNumber());
  buildUint(4, sessionId);
  buildUint(5, hal_now_us());
  buildUint(6, outboxOldestBoot());
  buildUint(7, outboxOldestSequence());
  for (let which = 0; which < 3; which += 1) {
    const at = identity + <usize>(which * IDENTITY_BYTES);
    buildText(<u8>(8 + which), at, hal_identity(which, at, IDENTITY_BYTES));
  }
  buildUint(11, hal_reset_reason());
  buildUint(12, hal_capabilities());
  helloMetrics();
  helloCommands();
  if (bootLost() > 0) {
    buildUint(15, bootLost());
    buildUint(16, bootLostTo());
  }
  if (appStopped() != 0) buildUint(17, appStopped());
  const length = buildEnd();
  if (length > 0) linkSendControl(built(), length);
  wakeAt =
    hal_now_us() +
    backoffUs(BACKOFF_EXPONENTIAL, HELLO_BASE_US, HELLO_CAP_US, attempts, JITTER_EQUAL, hal_random(), 0);
  if (attempts < u32.MAX_VALUE) attempts += 1;
}

export function sessionWelcome(
  session: u32,
  code: u32,
  ackBoot: u32,
  ackSequence: u32,
  flightMax: u32,
): void {
  if (state != GREETING || session != sessionId) return;
  if (code != 0) {
    state = REFUSED;
    wakeAt = hal_now_us() + REFUSED_US;
    return;
  }
  state = OPEN;
  generation += 1;
  attempts = 0;
  resends = 0;
  clockWelcome();
  window = flightMax < 1 ? 1 : flightMax;
  forget(ackBoot, ackSequence);
  outboxRewind();
  wakeAt = NEVER;
}

export function sessionAcknowledged(ackBoot: u32, ackSequence: u32, resend: bool): void {
  const forgotten = forget(ackBoot, ackSequence);
  if (forgotten > 0) {
    resends = 0;
    wakeAt = outboxInFlight() > 0 ? hal_now_us() + RESEND_US : NEVER;
  }
  if (state != OPEN) return;
  clockSet();
  if (resend) outboxRewind();
}

/** A durable message of this boot proves that the gateway has recorded what the boot before it lost. */
function forget(ackBoot: u32, ackSequence: u32): u32 {
  if (ackBoot == bootNumber()) bootLossStated();
  return outboxAcknowledge(ackBoot, ackSequence);
}

/** Sends what window and link allow. */
export function sessionSend(now: u64): void {
  if (state != OPEN) return;
  while (outboxInFlight() < window && outboxUnsent() > 0) {
    const ok = outboxNextIsDrop() ? sendDrop(now) : linkSend(outboxNextPtr(), <i32>outboxNextLength());
    if (ok != 0) break;
    outboxSent();
    if (wakeAt == NEVER) wakeAt = now + RESEND_US;
  }
}

function sendDrop(now: u64): i32 {
  buildStart(KIND_DROP);
  buildUint(1, outboxDropBoot());
  buildUint(2, outboxDropTo());
  buildUint(3, now);
  buildUint(4, outboxDropFrom());
  buildUint(5, outboxDropReadings());
  clockStamp();
  const length = buildEnd();
  return length < 0 ? length : linkSend(built(), length);
}

export function sessionPoll(now: u64): void {
  if (now < wakeAt) return;
  if (state == OPEN && outboxInFlight() == 0) wakeAt = NEVER;
  else if (state == OPEN && resends < RESENDS_MAX) {
    resends += 1;
    outboxRewind();
    wakeAt = now + RESEND_US;
  } else if (state != DOWN) {
    state = GREETING;
    greet();
  }
}
