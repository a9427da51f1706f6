/** What cases.ts compiles beside the structures. */

/** The functions that cases call: the shared build's own, and small loops around them. */
export const HARNESS = `
import { eventAnnounce, eventLeave, eventSignal } from "./lockfree/event";
import { spscInit, spscPublish, spscRead, spscReadAt, spscReady, spscRelease, spscReserve, spscWrite, spscWriteAt } from "./lockfree/spsc-ring";
import { recordsInit, recordsNext, recordsPublish, recordsRelease, recordsReserve } from "./lockfree/record-ring";
import { seqlockInit, seqlockRead, seqlockWrite } from "./lockfree/seqlock";
import { mapAdd, mapCompareAndSet, mapDelete, mapGet, mapSet } from "./lockfree/hash-map";
export { eventAnnounce, eventLeave, eventSignal, spscInit, recordsInit, seqlockInit };
export { spscCount } from "./lockfree/spsc-ring";
import { MPMC_VALUE, mpmcClaimRow, mpmcPublishRow, mpmcReleaseRow, mpmcSlotAt, mpmcTakeRow } from "./lockfree/mpmc-queue";
export { mpmcCount, mpmcInit, mpmcPush, mpmcShift } from "./lockfree/mpmc-queue";
export { stackInit, stackPop, stackPush } from "./lockfree/stack";
export { poolAllocate, poolBlockAt, poolFree, poolInit, poolReclaim } from "./lockfree/block-pool";
export { dequeInit, dequePush, dequeRecover, dequeSteal, dequeTake } from "./lockfree/deque";
export { mapCount, mapInit } from "./lockfree/hash-map";

export function spscPush(at: usize, value: u32): i32 {
  if (spscReserve(at, 1) == 0) return -1;
  store<u32>(spscWriteAt(at, 0), value);
  spscPublish(at, 1);
  return 0;
}
export function spscShift(at: usize): i32 {
  if (spscReady(at, 1) == 0) return -1;
  const value = load<u32>(spscReadAt(at, 0));
  spscRelease(at, 1);
  return <i32>value;
}
/** Two at once, from the thread's own memory; the numbers read as one, -1 for none. */
export function spscPushTwo(at: usize, own: usize, first: u32): u32 {
  store<u32>(own, first);
  store<u32>(own, first + 1, 4);
  return spscWrite(at, own, 2);
}
export function spscShiftTwo(at: usize, own: usize): i32 {
  const count = spscRead(at, own, 2);
  if (count == 0) return -1;
  return count == 1 ? <i32>load<u32>(own) : <i32>(load<u32>(own) * 100 + load<u32>(own, 4));
}
export function recordsPush(at: usize, length: u32, value: u32): i32 {
  const record = recordsReserve(at, length);
  if (record < 0) return record;
  store<u32>(<usize>record, value);
  recordsPublish(at);
  return 0;
}
export function recordsShift(at: usize): i32 {
  const record = recordsNext(at);
  if (record < 0) return record;
  const value = load<u32>(<usize>record);
  recordsRelease(at);
  return <i32>value;
}
/** Two in a row: how many were pushed; what was taken as one number, -1 for none. */
export function mpmcPushTwo(at: usize, first: u32): u32 {
  const row = mpmcClaimRow(at, 2);
  const count = <u32>(row >> 32);
  for (let index: u32 = 0; index < count; ++index) store<u32>(mpmcSlotAt(at, <u32>row + index), first + index, MPMC_VALUE);
  if (count > 0) mpmcPublishRow(at, <u32>row, count);
  return count;
}
export function mpmcShiftTwo(at: usize): i32 {
  const row = mpmcTakeRow(at, 2);
  const count = <u32>(row >> 32);
  if (count == 0) return -1;
  const first = load<u32>(mpmcSlotAt(at, <u32>row), MPMC_VALUE);
  const second = count == 1 ? 0 : load<u32>(mpmcSlotAt(at, <u32>row + 1), MPMC_VALUE);
  mpmcReleaseRow(at, <u32>row, count);
  return <i32>(count == 1 ? first : first * 100 + second);
}
/** Both words are the value; what is read must agree: 0 for nothing yet, -1 for torn. */
export function latestWrite(at: usize, own: usize, value: u32): void {
  store<u64>(own, <u64>value);
  store<u64>(own, <u64>value, 8);
  seqlockWrite(at, own);
}
export function latestRead(at: usize, own: usize): i32 {
  if (seqlockRead(at, own, 3) < 0) return -2;
  return load<u64>(own) == load<u64>(own, 8) ? <i32>load<u64>(own) : -1;
}
/** Pops a block, writes into it, reads it back and pushes it. */
export function useBlock(stack: usize, blocks: usize, mark: u32, pop: i32): i32 {
  if (pop < 0) return 0;
  store<u32>(blocks + (<usize>pop << 2), mark);
  return load<u32>(blocks + (<usize>pop << 2)) == mark ? 0 : -1;
}
export function mapSetKey(at: usize, key: u32, value: u32): i32 { return mapSet(at, <u64>key, value); }
export function mapAddKey(at: usize, key: u32, value: u32): i32 { return mapAdd(at, <u64>key, value); }
export function mapGetKey(at: usize, key: u32): i64 { return mapGet(at, <u64>key); }
export function mapDeleteKey(at: usize, key: u32): i64 { return mapDelete(at, <u64>key); }
export function mapSwapKey(at: usize, key: u32, from: u32, to: u32): i32 { return mapCompareAndSet(at, <u64>key, from, to); }
`;
