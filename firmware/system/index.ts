/**
 * The resident base's brain: what a board's thin port drives. A port calls `boot` once, feeds `link_*`, and calls `poll`
 * whenever something came in or the deadline that `poll` returned has come; in between it may sleep. The rest is the app's
 * import module `tardi` (app.ts).
 */
import {
  KIND_COMMAND,
  KIND_DURABLE_ACK,
  KIND_HELLO_REQUEST,
  KIND_LINK_RECEIPT,
  KIND_SHADOW,
  KIND_WELCOME,
} from "../../assembly/codec/schema.generated";
import {
  APP_TRAP,
  BOARD_PANIC,
  MESSAGE_KIND,
  SEVERITY_CRITICAL,
  SEVERITY_WARNING,
} from "../../assembly/errors/codes.generated";
import { appEnter, appLeave, IN_COMMAND, IN_SHADOW, IN_TIMER } from "./app";
import { bootCount, bootNumber, bootStart } from "./boot";
import { clockHear } from "./clock";
import { commandAnswer, commandId, commandIsRestart, commandRun, commandsSend } from "./commands";
import { crashLogHealthy, crashLogOpen, crashLogTell, SYSTEM, SYSTEM_BYTES } from "./crash-log";
import { hal_app_shadow, hal_app_timer, hal_link_kind, hal_now_us, hal_panic } from "./hal";
import {
  linkBuffer,
  linkCapacity,
  linkDamaged,
  linkDeadline,
  linkFilled,
  linkIsUp,
  linkMessage,
  linkNext,
  linkPoll,
  linkReceipt,
  linkState,
} from "./link";
import { RETAINED_BASE, retainedBytes } from "./memory";
import { outboxCount, outboxDropped, outboxInFlight, outboxNextSequence } from "./outbox";
import { parse, parseUint } from "./parse";
import { pinsAnnounce, pinsDeadline, pinsSend } from "./pins";
import {
  sessionAcknowledged,
  sessionDeadline,
  sessionGeneration,
  sessionHelloRequested,
  sessionIsOpen,
  sessionLinkDown,
  sessionLinkUp,
  sessionPoll,
  sessionSend,
  sessionWelcome,
} from "./session";
import { shadowAnnounce, shadowApply, shadowSend } from "./shadow";
import { appBegin, appRestart, appStopped, appTrapped, appTraps } from "./supervisor";
import { batchRecover, errorAdd, errorCount, readingsBatched, readingsProduced } from "./telemetry";
import { timerDeadline, timerDue, timerTake } from "./timers";

export {
  adc_read,
  command,
  command_result,
  error,
  event,
  every,
  exact_us,
  histogram,
  log,
  metric,
  now_us,
  pin_mode,
  pin_read,
  pin_write,
  random,
  reading,
  send_batch,
  shadow_declare,
  shadow_report,
  shadow_value,
} from "./app";

/** Callbacks run in one poll at most, so that the link is served however busy the app is. */
const CALLBACKS_A_POLL: i32 = 16;

let refused: u32 = 0;
let announced: u32 = 0;

/** Where the port puts received bytes before it calls `link_receive`, and how many at most; both change with each call. */
export function receive_buffer(): usize {
  return linkBuffer();
}
export function receive_capacity(): i32 {
  return linkCapacity();
}
/** The region that a port keeps over a warm reset. */
export function retained_base(): usize {
  return RETAINED_BASE;
}
export function retained_bytes(): usize {
  return retainedBytes();
}

export function boot(): void {
  const kept = bootStart();
  if (kept) batchRecover();
  crashLogOpen();
  bootCount(kept);
  crashLogTell(kept);
  const panic = hal_panic();
  if (panic != 0) errorAdd(BOARD_PANIC, SEVERITY_CRITICAL, SYSTEM, SYSTEM_BYTES, <i64>panic, hal_now_us());
  appBegin();
}

function afterCallback(status: i32): void {
  if (status == -APP_TRAP) {
    appTrapped();
    sessionHelloRequested();
  }
  appLeave();
}

export function link_up(): void {
  linkState(true);
  sessionLinkUp();
}
export function link_down(): void {
  linkState(false);
  sessionLinkDown();
}

/** Takes what the port put into the receive buffer: one message, or bytes of the stream. */
export function link_receive(length: i32): void {
  if (length < 0 || length > linkCapacity()) return;
  if (hal_link_kind() == 0) return dispatch(linkBuffer(), length);
  linkFilled(length);
  for (let message = linkNext(); message > 0; message = linkNext()) dispatch(linkMessage(), message);
}

function dispatch(ptr: usize, length: i32): void {
  const kind = parse(ptr, length);
  let status = kind;
  if (kind == <i32>KIND_DURABLE_ACK) {
    sessionAcknowledged(<u32>parseUint(1), <u32>parseUint(2), parseUint(3) != 0);
  } else if (kind == <i32>KIND_WELCOME) {
    sessionWelcome(
      <u32>parseUint(1),
      <u32>parseUint(2),
      <u32>parseUint(3),
      <u32>parseUint(4),
      <u32>parseUint(5),
    );
  } else if (kind == <i32>KIND_HELLO_REQUEST) sessionHelloRequested();
  else if (kind == <i32>KIND_LINK_RECEIPT)
    linkReceipt(<u32>parseUint(1), <u32>parseUint(2), <u32>parseUint(3));
  else if (kind == <i32>KIND_SHADOW && parseUint(1) == 0) {
    status = clockHear();
    applyShadow();
  } else if (kind == <i32>KIND_COMMAND) {
    status = clockHear();
    runCommand();
  } else if (kind >= 0) status = -MESSAGE_KIND;
  if (status < 0) refuse(-status);
}

/** Reports the first refused message or stamp and then each power of two, so that noise on the line is no flood of records. */
function refuse(code: i32): void {
  refused += 1;
  if ((refused & (refused - 1)) != 0)
    errorCount(<u32>code, SEVERITY_WARNING, SYSTEM, SYSTEM_BYTES, 0, hal_now_us());
  else errorAdd(<u32>code, SEVERITY_WARNING, SYSTEM, SYSTEM_BYTES, 0, hal_now_us());
}

/** A stopped app is not asked; it gets the whole shadow after its start. */
function applyShadow(): void {
  if (appStopped() != 0 || !shadowApply()) return;
  appEnter(hal_now_us(), IN_SHADOW);
  afterCallback(hal_app_shadow(0, 0));
}
function runCommand(): void {
  if (commandIsRestart()) {
    const id = commandId();
    appRestart();
    commandAnswer(id, appStopped());
    return sessionHelloRequested();
  }
  appEnter(hal_now_us(), IN_COMMAND);
  afterCallback(commandRun(appStopped()));
}

/** Runs what is due; returns when to call again at the latest, in microseconds since boot. */
export function poll(): u64 {
  const now = hal_now_us();
  crashLogHealthy(now);
  for (let runs = 0; runs < CALLBACKS_A_POLL; runs += 1) {
    const id = timerDue(now);
    if (id < 0) break;
    appEnter(timerTake(id, now), IN_TIMER);
    afterCallback(hal_app_timer(<u32>id));
  }
  if (linkIsUp()) serveLink(now);
  let deadline = timerDeadline();
  if (sessionDeadline() < deadline) deadline = sessionDeadline();
  if (linkDeadline() < deadline) deadline = linkDeadline();
  if (sessionIsOpen() && pinsDeadline() < deadline) deadline = pinsDeadline();
  return deadline;
}

function serveLink(now: u64): void {
  sessionPoll(now);
  if (sessionIsOpen()) {
    if (announced != sessionGeneration()) {
      announced = sessionGeneration();
      shadowAnnounce();
      pinsAnnounce();
    }
    sessionSend(now);
    commandsSend();
    shadowSend();
    pinsSend(now);
  }
  linkPoll(now);
}

/** Figures for tests and status lines: 0 boot, 1 readings produced, 2 readings dropped, 3 messages held, 4 in flight, 5 traps,
 * 6 next sequence, 7 session open, 8 readings in the batch, 9 damaged frames, 10 refused messages and stamps, 11 why the app is stopped. */
export function figure(which: u32): f64 {
  switch (which) {
    case 0:
      return <f64>bootNumber();
    case 1:
      return <f64>readingsProduced();
    case 2:
      return <f64>outboxDropped();
    case 3:
      return <f64>outboxCount();
    case 4:
      return <f64>outboxInFlight();
    case 5:
      return <f64>appTraps();
    case 6:
      return <f64>outboxNextSequence();
    case 7:
      return sessionIsOpen() ? 1 : 0;
    case 8:
      return <f64>readingsBatched();
    case 9:
      return <f64>linkDamaged();
    case 10:
      return <f64>refused;
    case 11:
      return <f64>appStopped();
    default:
      return NaN;
  }
}
