/** Sleeping on a word of shared memory until another thread notifies it. */

/** A promise of waitAsync does not keep a thread's event loop alive; what waits is work, so this does. */
const AWAKE_MS = 2 ** 30;
let sleepers = 0;
let awake: NodeJS.Timeout | undefined;

/** Milliseconds of this thread's monotonic clock, for deadlines. */
export function sleepClockMs(): number {
  return performance.now();
}

/** Blocks the thread while the word is `expected`, until notified or `timeoutMs` have passed. */
export function sleepSync(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  expected: number,
  timeoutMs: number,
): void {
  Atomics.wait(words, index, expected, timeoutMs);
}

/** The same without blocking. */
export async function sleep(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  expected: number,
  timeoutMs: number,
): Promise<void> {
  const slept = Atomics.waitAsync(words, index, expected, timeoutMs);
  if (!slept.async) return;
  awake ??= setInterval(() => {}, AWAKE_MS);
  sleepers += 1;
  if (sleepers === 1) awake.ref();
  try {
    await slept.value;
  } finally {
    sleepers -= 1;
    if (sleepers === 0) awake.unref();
  }
}
