/**
 * Eventcount: how a thread sleeps until somebody changed a lock-free structure, without a lock and without a lost wake-up (Vyukov's eventcount; Reed and
 * Kanodia, "Synchronization with Eventcounts and Sequencers", 1979).
 *
 *   +0 count u32 (what a waiter sleeps on)   +4 waiters u32
 *
 * The waiter announces itself, then looks again, then sleeps while `count` is what it was; the other side changes the structure, then looks for waiters.
 * Both are Dekker's pattern, a store and then a load of the other's word, which needs sequential consistency: WebAssembly's atomics have it. Either the waiter's
 * second look sees the change, or the other side sees the waiter and moves `count`, so that the sleep ends or never begins.
 *
 * WebAssembly only wakes; sleeping is done by JavaScript (`Atomics.wait`, `waitAsync`), where a thread may be stopped. All waiters are woken: were it one, and
 * that one died before it took anything, the rest would sleep beside a full queue. A waiter that dies leaves `waiters` one too high, which costs a useless wake-up each time.
 */
const WAITERS: usize = 4;

/** Bytes, alone in a cache line. */
export const EVENT_BYTES: usize = 64;

/** Announces a waiter. The count to sleep on; look at the structure once more before. */
export function eventAnnounce(at: usize): u32 {
  atomic.add<u32>(at, 1, WAITERS);
  return atomic.load<u32>(at);
}

/** After the sleep, or instead of it. */
export function eventLeave(at: usize): void {
  atomic.sub<u32>(at, 1, WAITERS);
}

/** After the structure was changed: wakes whoever waits. */
export function eventSignal(at: usize): void {
  if (atomic.load<u32>(at, WAITERS) != 0) eventWake(at);
}

/** Wakes also whoever is about to announce itself: for closing. */
export function eventWake(at: usize): void {
  atomic.add<u32>(at, 1);
  atomic.notify(at, -1);
}
