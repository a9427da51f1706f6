/** Loops around the shared build's queues, as wasm that uses them would have them: numbers one at a time or in batches, until the queue has been full or empty for `spins` looks.
 * `own`: a word in a cache line of the thread's own. */
import {
  MPMC_VALUE,
  mpmcClaimRow,
  mpmcPublishRow,
  mpmcPush,
  mpmcReleaseRow,
  mpmcShift,
  mpmcSlotAt,
  mpmcTakeRow,
} from "../../../assembly/lockfree/mpmc-queue";
import {
  spscPublish,
  spscReadAt,
  spscReady,
  spscRelease,
  spscReserve,
  spscWriteAt,
} from "../../../assembly/lockfree/spsc-ring";

/** Some hundred cycles without a look: who looks all the time takes the cache line from the one it waits for. */
function pause(own: usize): void {
  for (let round = 0; round < 16; ++round) atomic.add<u32>(own, 1);
}

/** Numbers from `next` up to `end`. The first that was not sent. */
export function spscSend(at: usize, next: u32, end: u32, spins: u32, own: usize): u32 {
  let number = next;
  let left = spins;
  while (number < end && left > 0) {
    if (spscReserve(at, 1) == 0) {
      --left;
      pause(own);
      continue;
    }
    store<u32>(spscWriteAt(at, 0), number);
    spscPublish(at, 1);
    ++number;
    left = spins;
  }
  return number;
}

/** Up to `most` numbers, added to the sum at `sum`. How many. */
export function spscReceive(at: usize, most: u32, sum: usize, spins: u32, own: usize): u32 {
  let count: u32 = 0;
  let left = spins;
  let total = load<u32>(sum);
  while (count < most && left > 0) {
    if (spscReady(at, 1) == 0) {
      --left;
      pause(own);
      continue;
    }
    total += load<u32>(spscReadAt(at, 0));
    spscRelease(at, 1);
    ++count;
    left = spins;
  }
  store<u32>(sum, total);
  return count;
}

/** The same in batches of up to `batch`. */
export function spscSendBatch(at: usize, next: u32, end: u32, spins: u32, own: usize, batch: u32): u32 {
  let number = next;
  let left = spins;
  while (number < end && left > 0) {
    const wanted = end - number < batch ? end - number : batch;
    const room = spscReserve(at, wanted);
    if (room == 0) {
      --left;
      pause(own);
      continue;
    }
    for (let index: u32 = 0; index < room; ++index) store<u32>(spscWriteAt(at, index), number + index);
    spscPublish(at, room);
    number += room;
    left = spins;
  }
  return number;
}

export function spscReceiveBatch(at: usize, most: u32, sum: usize, spins: u32, own: usize, batch: u32): u32 {
  let count: u32 = 0;
  let left = spins;
  let total = load<u32>(sum);
  while (count < most && left > 0) {
    const wanted = most - count < batch ? most - count : batch;
    const ready = spscReady(at, wanted);
    if (ready == 0) {
      --left;
      pause(own);
      continue;
    }
    for (let index: u32 = 0; index < ready; ++index) total += load<u32>(spscReadAt(at, index));
    spscRelease(at, ready);
    count += ready;
    left = spins;
  }
  store<u32>(sum, total);
  return count;
}

export function mpmcSend(at: usize, next: u32, end: u32, spins: u32, own: usize): u32 {
  let number = next;
  let left = spins;
  while (number < end && left > 0) {
    if (mpmcPush(at, number) < 0) {
      --left;
      pause(own);
      continue;
    }
    ++number;
    left = spins;
  }
  return number;
}

export function mpmcReceive(at: usize, most: u32, sum: usize, spins: u32, own: usize): u32 {
  let count: u32 = 0;
  let left = spins;
  let total = load<u32>(sum);
  while (count < most && left > 0) {
    const value = mpmcShift(at);
    if (value < 0) {
      --left;
      pause(own);
      continue;
    }
    total += <u32>value;
    ++count;
    left = spins;
  }
  store<u32>(sum, total);
  return count;
}

/** In rows of up to `batch`. */
export function mpmcSendBatch(at: usize, next: u32, end: u32, spins: u32, own: usize, batch: u32): u32 {
  let number = next;
  let left = spins;
  while (number < end && left > 0) {
    const row = mpmcClaimRow(at, end - number < batch ? end - number : batch);
    const count = <u32>(row >> 32);
    if (count == 0) {
      --left;
      pause(own);
      continue;
    }
    for (let index: u32 = 0; index < count; ++index)
      store<u32>(mpmcSlotAt(at, <u32>row + index), number + index, MPMC_VALUE);
    mpmcPublishRow(at, <u32>row, count);
    number += count;
    left = spins;
  }
  return number;
}

export function mpmcReceiveBatch(at: usize, most: u32, sum: usize, spins: u32, own: usize, batch: u32): u32 {
  let got: u32 = 0;
  let left = spins;
  let total = load<u32>(sum);
  while (got < most && left > 0) {
    const row = mpmcTakeRow(at, most - got < batch ? most - got : batch);
    const count = <u32>(row >> 32);
    if (count == 0) {
      --left;
      pause(own);
      continue;
    }
    for (let index: u32 = 0; index < count; ++index)
      total += load<u32>(mpmcSlotAt(at, <u32>row + index), MPMC_VALUE);
    mpmcReleaseRow(at, <u32>row, count);
    got += count;
    left = spins;
  }
  store<u32>(sum, total);
  return got;
}
