/**
 * Bulkhead: at most `limit` calls at once, and a bounded queue before the door, by priority (Nygard, "Release It!"; Envoy and Netflix call the
 * same thing a concurrency limiter).
 *
 * Priorities are 0 (first) to 3. The queue is served by priority, then in order of arrival; when it is full, an arrival takes the place of the
 * newest waiting call of the lowest priority below its own, which is shed. Under load, lower priorities may be held to a share of the limit, so that
 * some room is always left for the important ones.
 *
 *   +0 limit u32   +4 inFlight u32   +8 queueMax u32   +12 queued u32   +16 free u32 (index + 1)   +20 granted u32   +24 refused u32   +28 shed u32
 *   +32 first u32 a priority, 4   +48 last u32 a priority, 4   +64 share u16 a priority in thousandths, 4   +72 shedTicket u32   +76 unused
 *   +80 a place in the queue: +0 next u32   +4 previous u32   +8 ticket u32   +12 priority u16 (0xffff: free)   +14 generation u16
 *   handle: bits 0-15 index + 1, bits 16-30 generation
 */
import { ARGUMENT, BULKHEAD_FULL } from "../errors/codes.generated";

export const BULKHEAD_PRIORITIES: u32 = 4;
export const BULKHEAD_QUEUE_MAX: u32 = 0xfffe;
/** What bulkheadEnter answers when the call may go on. */
export const BULKHEAD_GRANTED: i32 = 0;

const LIMIT: usize = 0;
const IN_FLIGHT: usize = 4;
const QUEUE_MAX: usize = 8;
const QUEUED: usize = 12;
const FREE: usize = 16;
const GRANTED: usize = 20;
const REFUSED: usize = 24;
const SHED: usize = 28;
const FIRST: usize = 32;
const LAST: usize = 48;
const SHARES: usize = 64;
const SHED_TICKET: usize = 72;
const PLACES: usize = 80;
const PLACE_BYTES: usize = 16;
const P_NEXT: usize = 0;
const P_PREVIOUS: usize = 4;
const P_TICKET: usize = 8;
const P_PRIORITY: usize = 12;
const P_GENERATION: usize = 14;

const PRIORITY_FREE: u32 = 0xffff;
const SHARE_MILLI_MAX: u32 = 1000;
const INDEX_MASK: u32 = 0xffff;
const GENERATION_MASK: u32 = 0x7fff;

export function bulkheadBytes(queueMax: u32): usize {
  return PLACES + <usize>queueMax * PLACE_BYTES;
}

/** limit: from 1. queueMax: 0 to 65,534. 0 or -ARGUMENT. */
export function bulkheadInit(at: usize, limit: u32, queueMax: u32): i32 {
  if (limit == 0 || queueMax > BULKHEAD_QUEUE_MAX) return -ARGUMENT;
  for (let offset: usize = 0; offset < PLACES; offset += 8) store<u64>(at + offset, 0);
  store<u32>(at, limit, LIMIT);
  store<u32>(at, queueMax, QUEUE_MAX);
  for (let priority: u32 = 0; priority < BULKHEAD_PRIORITIES; ++priority)
    bulkheadShare(at, priority, SHARE_MILLI_MAX);
  for (let link = queueMax; link > 0; --link) {
    const place = placeAt(at, link);
    store<u32>(place, PRIORITY_FREE, P_PRIORITY);
    store<u32>(place, load<u32>(at, FREE), P_NEXT);
    store<u32>(at, link, FREE);
  }
  return 0;
}

/** Thousandths of the limit, 1 to 1,000, up to which calls of this priority may be under way in all. 0 or -ARGUMENT. */
export function bulkheadShare(at: usize, priority: u32, shareMilli: u32): i32 {
  if (priority >= BULKHEAD_PRIORITIES || shareMilli == 0 || shareMilli > SHARE_MILLI_MAX) return -ARGUMENT;
  store<u16>(at + ((<usize>priority) << 1), <u16>shareMilli, SHARES);
  return 0;
}

/** A new limit, from 1. Calls that are under way go on; ask bulkheadNext for who may come in. 0 or -ARGUMENT. */
export function bulkheadLimit(at: usize, limit: u32): i32 {
  if (limit == 0) return -ARGUMENT;
  store<u32>(at, limit, LIMIT);
  return 0;
}

/** Asks to make a call without waiting. 0, to be given back by bulkheadLeave, or -BULKHEAD_FULL, or -ARGUMENT for no such priority. */
export function bulkheadTry(at: usize, priority: u32): i32 {
  if (priority >= BULKHEAD_PRIORITIES) return -ARGUMENT;
  // Who waits was here before.
  if (!hasRoom(at, priority) || isAwaited(at, priority)) return refuse(at);
  grant(at);
  return BULKHEAD_GRANTED;
}

/**
 * Asks to make a call, if need be later. 0 when it may go on; a handle above 0 when it waits, and bulkheadNext will name its ticket (above
 * 0); -BULKHEAD_FULL, or -ARGUMENT. Another that had to give up its place is named by bulkheadShed.
 */
export function bulkheadEnter(at: usize, priority: u32, ticket: u32): i32 {
  if (priority >= BULKHEAD_PRIORITIES || ticket == 0) return -ARGUMENT;
  if (hasRoom(at, priority) && !isAwaited(at, priority)) {
    grant(at);
    return BULKHEAD_GRANTED;
  }
  if (load<u32>(at, FREE) == 0 && !shedBelow(at, priority)) return refuse(at);
  const link = load<u32>(at, FREE);
  const place = placeAt(at, link);
  store<u32>(at, load<u32>(place, P_NEXT), FREE);
  const generation = (<u32>load<u16>(place, P_GENERATION) + 1) & GENERATION_MASK;
  store<u32>(place, ticket, P_TICKET);
  store<u16>(place, <u16>priority, P_PRIORITY);
  store<u16>(place, <u16>generation, P_GENERATION);
  append(at, link, place, priority);
  return <i32>((generation << 16) | link);
}

/** A call that was granted has ended. 0, or -ARGUMENT when none is under way. Ask bulkheadNext for who may come in. */
export function bulkheadLeave(at: usize): i32 {
  const inFlight = load<u32>(at, IN_FLIGHT);
  if (inFlight == 0) return -ARGUMENT;
  store<u32>(at, inFlight - 1, IN_FLIGHT);
  return 0;
}

/** Grants the next waiting call and tells its ticket; 0 when there is none, or no room. */
export function bulkheadNext(at: usize): u32 {
  for (let priority: u32 = 0; priority < BULKHEAD_PRIORITIES; ++priority) {
    const link = load<u32>(at + ((<usize>priority) << 2), FIRST);
    if (link == 0 || !hasRoom(at, priority)) continue;
    const place = placeAt(at, link);
    const ticket = load<u32>(place, P_TICKET);
    remove(at, link, place);
    grant(at);
    return ticket;
  }
  return 0;
}

/** A waiting call gives up. 0, or -ARGUMENT when it does not wait (any more). */
export function bulkheadCancel(at: usize, handle: u32): i32 {
  const link = handle & INDEX_MASK;
  if (link == 0 || link > load<u32>(at, QUEUE_MAX)) return -ARGUMENT;
  const place = placeAt(at, link);
  const isSame = <u32>load<u16>(place, P_GENERATION) == handle >> 16;
  if (!isSame || load<u16>(place, P_PRIORITY) == PRIORITY_FREE) return -ARGUMENT;
  remove(at, link, place);
  return 0;
}

/** Ticket of the call that was shed since last asked, or 0. At most one by each bulkheadEnter. */
export function bulkheadShed(at: usize): u32 {
  const ticket = load<u32>(at, SHED_TICKET);
  store<u32>(at, 0, SHED_TICKET);
  return ticket;
}

export function bulkheadInFlight(at: usize): u32 {
  return load<u32>(at, IN_FLIGHT);
}
export function bulkheadQueued(at: usize): u32 {
  return load<u32>(at, QUEUED);
}
export function bulkheadGranted(at: usize): u32 {
  return load<u32>(at, GRANTED);
}
export function bulkheadRefused(at: usize): u32 {
  return load<u32>(at, REFUSED);
}
export function bulkheadShedCount(at: usize): u32 {
  return load<u32>(at, SHED);
}

function placeAt(at: usize, link: u32): usize {
  return at + PLACES + <usize>(link - 1) * PLACE_BYTES;
}

/** The share is rounded up, so that every priority may make a call when nothing else is under way. */
function hasRoom(at: usize, priority: u32): bool {
  const limit = load<u32>(at, LIMIT);
  const inFlight = load<u32>(at, IN_FLIGHT);
  if (inFlight >= limit) return false;
  const share = <u32>load<u16>(at + ((<usize>priority) << 1), SHARES);
  return share == SHARE_MILLI_MAX || <u64>inFlight * 1000 < <u64>limit * <u64>share;
}

/** Whether a call of this priority or a higher one waits. */
function isAwaited(at: usize, priority: u32): bool {
  if (load<u32>(at, QUEUED) == 0) return false;
  for (let above: u32 = 0; above <= priority; ++above) {
    if (load<u32>(at + ((<usize>above) << 2), FIRST) != 0) return true;
  }
  return false;
}

function grant(at: usize): void {
  store<u32>(at, load<u32>(at, IN_FLIGHT) + 1, IN_FLIGHT);
  store<u32>(at, load<u32>(at, GRANTED) + 1, GRANTED);
}

function refuse(at: usize): i32 {
  store<u32>(at, load<u32>(at, REFUSED) + 1, REFUSED);
  return -BULKHEAD_FULL;
}

/** Makes room by the newest waiting call of the lowest priority below this one; false when there is none. */
function shedBelow(at: usize, priority: u32): bool {
  for (let below = BULKHEAD_PRIORITIES - 1; below > priority; --below) {
    const link = load<u32>(at + ((<usize>below) << 2), LAST);
    if (link == 0) continue;
    const place = placeAt(at, link);
    store<u32>(at, load<u32>(place, P_TICKET), SHED_TICKET);
    store<u32>(at, load<u32>(at, SHED) + 1, SHED);
    remove(at, link, place);
    return true;
  }
  return false;
}

function append(at: usize, link: u32, place: usize, priority: u32): void {
  const list = at + ((<usize>priority) << 2);
  const last = load<u32>(list, LAST);
  store<u32>(place, 0, P_NEXT);
  store<u32>(place, last, P_PREVIOUS);
  if (last == 0) store<u32>(list, link, FIRST);
  else store<u32>(placeAt(at, last), link, P_NEXT);
  store<u32>(list, link, LAST);
  store<u32>(at, load<u32>(at, QUEUED) + 1, QUEUED);
}

function remove(at: usize, link: u32, place: usize): void {
  const list = at + ((<usize>load<u16>(place, P_PRIORITY)) << 2);
  const next = load<u32>(place, P_NEXT);
  const previous = load<u32>(place, P_PREVIOUS);
  if (previous == 0) store<u32>(list, next, FIRST);
  else store<u32>(placeAt(at, previous), next, P_NEXT);
  if (next == 0) store<u32>(list, previous, LAST);
  else store<u32>(placeAt(at, next), previous, P_PREVIOUS);
  store<u16>(place, <u16>PRIORITY_FREE, P_PRIORITY);
  store<u32>(place, load<u32>(at, FREE), P_NEXT);
  store<u32>(at, link, FREE);
  store<u32>(at, load<u32>(at, QUEUED) - 1, QUEUED);
}
