/**
 * A board among its peers: drives the Raft node of assembly/consensus/raft with two serial links, a flash journal and the board's clock. One round:
 *
 *   time, messages in -> flush -> messages out -> journal -> flush -> messages out -> apply -> compact
 *
 * A leader's entries leave before they are in its own flash; votes and acknowledgements wait for it (message.ts of the core holds them back). A record takes 0.4 ms each
 * 16 bytes; a new sector some 45 ms without interrupts, in which a frame or two is lost on the lines: times below allow for that several times over.
 */
import {
  APPLIED,
  ELECTION_AT,
  FIRST,
  HEARTBEAT_AT,
  LAST,
  LEADER,
  LEADING,
  ROLE,
} from "../../assembly/consensus/raft/layout";
import { COMMAND, logKind, logLength, logPayload, logTerm } from "../../assembly/consensus/raft/log";
import { configBytes, configIndexBelow, configOf } from "../../assembly/consensus/raft/members";
import {
  MESSAGE_BODY,
  MESSAGE_COMMIT,
  MESSAGE_CONTEXT,
  MESSAGE_INDEX,
  MESSAGE_LENGTH,
  MESSAGE_LOG_TERM,
  outboxDrop,
  outboxFirst,
} from "../../assembly/consensus/raft/message";
import {
  raftApplicable,
  raftApplied,
  raftBegin,
  raftBytes,
  raftConfigure,
  raftFlush,
  raftHanded,
  raftInit,
  raftRestore,
  raftSaved,
  raftStateSequence,
  raftTick,
  raftUnsaved,
} from "../../assembly/consensus/raft/node";
import { propose } from "../../assembly/consensus/raft/proposal";
import {
  CHUNK_TAKEN,
  compact,
  snapshotDue,
  snapshotInstalled,
  snapshotRefused,
  snapshotSend,
} from "../../assembly/consensus/raft/snapshot";
import { stepMessage } from "../../assembly/consensus/raft/step";
import { hal_now_us, hal_pin_mode, hal_pin_read, hal_random } from "../system/hal";
import { reserve } from "../system/memory";
import {
  CORRUPT,
  ENTRIES,
  ENTRY_RECORD_BYTES,
  journalBegin,
  journalBoots,
  journalCountBoot,
  journalEntry,
  journalHasRoom,
  journalMove,
  journalOpen,
  journalRestore,
  journalSnapshot,
  journalState,
  NEW,
  SNAPSHOT_RECORD_BYTES,
  STATE_RECORD_BYTES,
} from "./journal";
import {
  COMMAND_BYTES,
  machineApply,
  machineCommand,
  machineDone,
  machineLoad,
  machineState,
  PEERS,
  STATE_BYTES,
} from "./machine";
import { MESSAGE_BYTES, wireNext, wireOpen, wireSend } from "./wire";

const CLUSTER: u32 = 1;
const PAYLOAD_BYTES: u32 = 1024;
const READS: u32 = 1;
const OUTBOX_BYTES: u32 = 1024;
/** A few heartbeats, and flash erases on both sides between them. */
const ELECTION_US: u32 = 600_000;
const HEARTBEAT_US: u32 = 100_000;
const IN_FLIGHT_ENTRIES: u32 = 16;
const IN_FLIGHT_BYTES: u32 = 512;
/** Entries held at which the log is compacted, and how many behind stay for a peer that is a little late. */
const COMPACT_ENTRIES: u64 = 48;
const KEPT_ENTRIES: u64 = 8;
/** A line without room has some after that. */
const LINE_US: u64 = 5_000;
const PROPOSE_AGAIN_US: u64 = 400_000;
const NO_LEADER_US: u64 = 50_000;
/** Jumpers from these pins to 3V3 say who a board is: 1 plus the first, plus twice the second. */
const STRAP_1: u32 = 2;
const STRAP_2: u32 = 3;
const INPUT: u32 = 1;

export const RUNNING: u32 = 0;
/** The journal is damaged, or another board's. Erase it only on a board that is to join as if it were new, while all others run. */
export const JOURNAL_CORRUPT: u32 = 1;
export const FLASH_FAILED: u32 = 2;
export const STRAPS_INVALID: u32 = 3;

const node: usize = reserve(<usize>raftBytes(ENTRIES, PAYLOAD_BYTES, READS, OUTBOX_BYTES, MESSAGE_BYTES));
const config: usize = reserve(8 + <usize>PEERS * 8);
const command: usize = reserve(COMMAND_BYTES);
let self: u32 = 0;
/** In memory, so that who looks from outside sees it. */
const condition: usize = reserve(4);
let savedState: u32 = 0;
let isWaiting: bool = false;

export function peerSelf(): u32 {
  return self;
}
/** 0 while nobody is known to lead. */
export function peerLeader(): u32 {
  return peerCondition() == RUNNING ? load<u32>(node, LEADER) : 0;
}
/** RUNNING, or why this board takes no part. */
export function peerCondition(): u32 {
  return load<u32>(condition);
}
/** Where things are, for who looks into memory from outside. */
export function peerNode(): usize {
  return node;
}
export function peerConditionAt(): usize {
  return condition;
}

export function peerBoot(): void {
  hal_pin_mode(STRAP_1, INPUT);
  hal_pin_mode(STRAP_2, INPUT);
  self = 1 + <u32>hal_pin_read(STRAP_1) + 2 * <u32>hal_pin_read(STRAP_2);
  store<u32>(condition, self > PEERS ? STRAPS_INVALID : restore());
  if (peerCondition() != RUNNING) return;
  raftConfigure(node, ELECTION_US, HEARTBEAT_US, 0, IN_FLIGHT_ENTRIES, IN_FLIGHT_BYTES);
  sequence = (<u64>journalBoots()) << 32;
  savedState = raftStateSequence(node);
  wireOpen(CLUSTER);
  raftBegin(node, hal_now_us(), hal_random());
}

function restore(): u32 {
  raftInit(node, self, ENTRIES, PAYLOAD_BYTES, READS, OUTBOX_BYTES, MESSAGE_BYTES);
  const found = journalOpen(self | (CLUSTER << 8));
  if (found == CORRUPT) return JOURNAL_CORRUPT;
  if (found == NEW) {
    store<u32>(config, PEERS);
    for (let peer: u32 = 0; peer < PEERS; ++peer) {
      store<u32>(config + 8 + <usize>(peer << 3), peer + 1);
      store<u32>(config + 8 + <usize>(peer << 3), 1, 4);
    }
    raftRestore(node, 0, 0, 0, 0, config, configBytes(PEERS));
    // Not where another life began: its numbers may be in the machine that the others have.
    if (!journalBegin(node, config, machineState(), (hal_random() & 0xffff) << 12)) return FLASH_FAILED;
  } else if (journalRestore(node) == CORRUPT) return JOURNAL_CORRUPT;
  journalCountBoot();
  const isDurable = journalHasRoom(STATE_RECORD_BYTES) && journalState(node);
  return isDurable || move() ? RUNNING : FLASH_FAILED;
}

/** Runs what is due; when to be called again at the latest. */
export function peerPoll(): u64 {
  if (peerCondition() != RUNNING) return u64.MAX_VALUE;
  let now = hal_now_us();
  raftTick(node, now, hal_random());
  for (let link: u32 = 0; link < 2; ++link) {
    for (let message = wireNext(link, self, now); message != 0; message = wireNext(link, self, now)) {
      if (stepMessage(node, message, load<u32>(message, MESSAGE_LENGTH)) == CHUNK_TAKEN) install(message);
    }
  }
  proposeDue(now);
  raftFlush(node);
  sendSnapshot();
  send(now);
  save();
  raftFlush(node);
  send(now);
  apply();
  return deadline(now);
}

function deadline(now: u64): u64 {
  if (peerCondition() != RUNNING) return u64.MAX_VALUE;
  let at = load<u8>(node, ROLE) == LEADING ? load<u64>(node, HEARTBEAT_AT) : load<u64>(node, ELECTION_AT);
  if (isWaiting && now + LINE_US < at) at = now + LINE_US;
  return isPending && proposeAt < at ? proposeAt : at;
}

function send(now: u64): void {
  isWaiting = false;
  for (let message = outboxFirst(node); message != 0; message = outboxFirst(node)) {
    if (!wireSend(message, now)) {
      isWaiting = true;
      return;
    }
    outboxDrop(node);
  }
}

/** Makes durable what is not: term and vote, entries. */
function save(): void {
  const state = raftStateSequence(node);
  const first = raftUnsaved(node);
  const last = load<u64>(node, LAST);
  if (first == 0 && state == savedState) return;
  const entries: u32 = first == 0 ? 0 : <u32>(last + 1 - first);
  if (!append(state, first, last, entries) && !move()) {
    fail();
    return;
  }
  savedState = state;
  raftHanded(node, last);
  raftSaved(node, last, logTerm(node, last), state);
}

function append(state: u32, first: u64, last: u64, entries: u32): bool {
  if (!journalHasRoom(STATE_RECORD_BYTES + entries * ENTRY_RECORD_BYTES)) return false;
  // Before the entries: none has a term above the one that is durable.
  if (state != savedState && !journalState(node)) return false;
  if (entries == 0) return true;
  for (let index = first; index <= last; ++index) if (!journalEntry(node, index)) return false;
  return true;
}

/** A new sector with all that counts now. */
function move(): bool {
  const index = load<u64>(node, APPLIED);
  return journalMove(node, index, logTerm(node, index), configAt(index), machineState());
}
function configAt(index: u64): usize {
  return configOf(node, configIndexBelow(node, index));
}
function fail(): void {
  store<u32>(condition, FLASH_FAILED);
}

function apply(): void {
  const until = raftApplicable(node);
  for (let index = load<u64>(node, APPLIED) + 1; index <= until; ++index) {
    if (logKind(node, index) == COMMAND && logLength(node, index) == COMMAND_BYTES)
      machineApply(command, logPayload(node, index, command));
    raftApplied(node, index);
  }
  if (load<u64>(node, LAST) + 1 - load<u64>(node, FIRST) >= COMPACT_ENTRIES) compactLog();
}

/** The state as it is becomes the snapshot, in flash first. */
function compactLog(): void {
  const index = load<u64>(node, APPLIED);
  if (index < load<u64>(node, FIRST) + KEPT_ENTRIES) return;
  const isDurable =
    journalHasRoom(SNAPSHOT_RECORD_BYTES) &&
    journalSnapshot(index, logTerm(node, index), configAt(index), machineState());
  if (isDurable || move()) compact(node, index - KEPT_ENTRIES);
  else fail();
}

/** All of the state in one message, as it is now. */
function sendSnapshot(): void {
  const to = snapshotDue(node);
  if (to == 0) return;
  const index = load<u64>(node, APPLIED);
  const state = machineState();
  snapshotSend(node, to, index, logTerm(node, index), configAt(index), STATE_BYTES, state, STATE_BYTES);
}

/** A snapshot came: it and what of the log stays go to flash, then it counts. */
function install(message: usize): void {
  const index = load<u64>(message, MESSAGE_INDEX);
  const term = load<u64>(message, MESSAGE_LOG_TERM);
  const from = message + MESSAGE_BODY;
  const bytes = configBytes(load<u32>(from));
  if (load<u64>(message, MESSAGE_COMMIT) != STATE_BYTES || load<u64>(message, MESSAGE_CONTEXT) != 0) {
    snapshotRefused(node);
    return;
  }
  const state = raftStateSequence(node);
  const incoming = from + <usize>bytes;
  if (snapshotInstalled(node, index, term, from, bytes) != 0) return;
  if (!journalMove(node, index, term, from, incoming)) {
    fail();
    return;
  }
  machineLoad(incoming);
  savedState = state;
  const last = load<u64>(node, LAST);
  raftHanded(node, last);
  raftSaved(node, last, logTerm(node, last), state);
}

// ---- proposals, one at a time

let sequence: u64 = 0;
let isPending: bool = false;
let proposeAt: u64 = 0;
const proposal: usize = reserve(COMMAND_BYTES);

/** Proposes a command; false while an earlier one is not agreed on yet. It is proposed again until it is, or until the power goes. */
export function peerPropose(operation: u32, register: u32, value: u32): bool {
  if (peerIsPending() || peerCondition() != RUNNING) return false;
  machineCommand(proposal, ++sequence, self, operation, register, value);
  isPending = true;
  proposeAt = 0;
  return true;
}
export function peerIsPending(): bool {
  if (isPending && machineDone(self) == sequence) isPending = false;
  return isPending;
}

function proposeDue(now: u64): void {
  if (!peerIsPending() || now < proposeAt) return;
  if (machineDone(self) > sequence) {
    // Of a life that this journal does not know: it was erased since.
    sequence = machineDone(self) + 1;
    store<u64>(proposal, sequence);
  }
  proposeAt = now + (propose(node, proposal, COMMAND_BYTES) < 0 ? NO_LEADER_US : PROPOSE_AGAIN_US);
}
