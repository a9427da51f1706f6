/** Bulkheads by handle. Their queues lie in memory that the caller gives, bulkheadBytes of it, and takes back after bulkheadFree. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  bulkheadInit,
  bulkheadCancel as cancel,
  bulkheadEnter as enter,
  bulkheadInFlight as inFlightOf,
  bulkheadLeave as leave,
  bulkheadLimit as limitTo,
  bulkheadNext as next,
  bulkheadQueued as queuedOf,
  bulkheadShare as share,
  bulkheadShed as shed,
  bulkheadTry as tryIt,
} from "../resilience/bulkhead";
import { BULKHEADS } from "./pools";

export { bulkheadBytes } from "../resilience/bulkhead";

function at(handle: u32): usize {
  const item = poolAt(BULKHEADS, handle);
  return item == 0 ? 0 : <usize>load<u32>(item);
}

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function bulkheadCreate(limit: u32, queueMax: u32, memory: usize): i32 {
  if (memory == 0 || limit == 0) return -ARGUMENT;
  const handle = poolTake(BULKHEADS, true);
  if (handle < 0) return handle;
  const status = bulkheadInit(memory, limit, queueMax);
  if (status == 0) {
    store<u32>(poolAt(BULKHEADS, handle), <u32>memory);
    return handle;
  }
  poolGive(BULKHEADS, handle);
  return status;
}

export function bulkheadFree(handle: u32): i32 {
  return poolGive(BULKHEADS, handle) ? 0 : -ARGUMENT;
}

export function bulkheadShare(handle: u32, priority: u32, shareMilli: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : share(own, priority, shareMilli);
}
export function bulkheadLimit(handle: u32, limit: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : limitTo(own, limit);
}
export function bulkheadTry(handle: u32, priority: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : tryIt(own, priority);
}
export function bulkheadEnter(handle: u32, priority: u32, ticket: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : enter(own, priority, ticket);
}
export function bulkheadLeave(handle: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : leave(own);
}
/** 0 also for a handle that names nothing. */
export function bulkheadNext(handle: u32): u32 {
  const own = at(handle);
  return own == 0 ? 0 : next(own);
}
export function bulkheadCancel(handle: u32, place: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : cancel(own, place);
}
export function bulkheadShed(handle: u32): u32 {
  const own = at(handle);
  return own == 0 ? 0 : shed(own);
}
export function bulkheadInFlight(handle: u32): u32 {
  const own = at(handle);
  return own == 0 ? 0 : inFlightOf(own);
}
export function bulkheadQueued(handle: u32): u32 {
  const own = at(handle);
  return own == 0 ? 0 : queuedOf(own);
}
