/**
 * Entry of the shared build: lock-free structures over memory that several threads share, each thread with an instance of its own.
 *
 * Its rule: no static data (each instance would write it again), no heap, no globals and no collected objects (each instance would have its own, at the same place). All state lies where the
 * caller says. Nothing here sleeps: JavaScript does (event.ts).
 */

export {
  poolAllocate,
  poolBlockAt,
  poolBytes,
  poolFree,
  poolInit,
  poolReclaim,
} from "./lockfree/block-pool";
export { dequeBytes, dequeCount, dequeInit, dequePush, dequeRecover } from "./lockfree/deque";

import { dequeSteal, dequeTake } from "./lockfree/deque";
import { mapAdd, mapCompareAndSet, mapDelete, mapGet, mapKeyAt, mapSet } from "./lockfree/hash-map";
import { mpmcClaimRow, mpmcTakeRow } from "./lockfree/mpmc-queue";

export { endsOf, endsSet } from "./lockfree/ends";
export { eventAnnounce, eventLeave, eventSignal, eventWake } from "./lockfree/event";
export { mapBytes, mapCount, mapInit, mapNext, mapTable } from "./lockfree/hash-map";
export {
  mpmcBytes,
  mpmcCanClaim,
  mpmcCanTake,
  mpmcClaim,
  mpmcCount,
  mpmcInit,
  mpmcPublish,
  mpmcPublishRow,
  mpmcPush,
  mpmcRelease,
  mpmcReleaseRow,
  mpmcShift,
  mpmcSlotAt,
  mpmcTake,
} from "./lockfree/mpmc-queue";
export {
  recordsBytes,
  recordsCancel,
  recordsFits,
  recordsInit,
  recordsNext,
  recordsPublish,
  recordsReady,
  recordsRelease,
  recordsReserve,
  recordsRewind,
  recordsUsed,
} from "./lockfree/record-ring";
export { seqlockBytes, seqlockCount, seqlockInit, seqlockRead, seqlockWrite } from "./lockfree/seqlock";
export {
  spscBytes,
  spscCount,
  spscInit,
  spscPublish,
  spscRead,
  spscReadAt,
  spscReady,
  spscRelease,
  spscReserve,
  spscWrite,
  spscWriteAt,
} from "./lockfree/spsc-ring";
export { stackBytes, stackInit, stackPop, stackPush } from "./lockfree/stack";

// JavaScript has no i64 without BigInt, which allocates: keys, and values or negative codes, cross as f64.

/** How many in the upper half, the first one's position in the lower. */
export function mpmcClaimRowNumber(at: usize, want: u32): f64 {
  return <f64>mpmcClaimRow(at, want);
}
export function mpmcTakeRowNumber(at: usize, want: u32): f64 {
  return <f64>mpmcTakeRow(at, want);
}

export function dequeTakeNumber(at: usize): f64 {
  return <f64>dequeTake(at);
}
export function dequeStealNumber(at: usize): f64 {
  return <f64>dequeSteal(at);
}

/** Keys are whole numbers from 0 to 2^53 - 1. */
export function mapGetNumber(at: usize, key: f64): f64 {
  return <f64>mapGet(at, keyOf(key));
}
export function mapSetNumber(at: usize, key: f64, value: u32): i32 {
  return mapSet(at, keyOf(key), value);
}
export function mapAddNumber(at: usize, key: f64, value: u32): i32 {
  return mapAdd(at, keyOf(key), value);
}
export function mapCompareAndSetNumber(at: usize, key: f64, expected: u32, value: u32): i32 {
  return mapCompareAndSet(at, keyOf(key), expected, value);
}
export function mapDeleteNumber(at: usize, key: f64): f64 {
  return <f64>mapDelete(at, keyOf(key));
}
/** The key at an index where mapNext found one. */
export function mapKeyNumber(at: usize, table: u32, index: u32): f64 {
  return <f64>(mapKeyAt(at, table, index) - 1);
}

/** 0 stands for a slot without a key. */
function keyOf(key: f64): u64 {
  return <u64>key + 1;
}
