/** The core's algorithms as an app has them: checked memory, arithmetic of the base. peer.c does the same by hand. */

import { Args, onCommand } from "tardigrade/firmware";
import { crc32 } from "../../../assembly/codec/crc32";
import { BUCKET_BYTES, bucketInit, bucketTake } from "../../../assembly/resilience/token-bucket";
import { EWMA_BYTES, ewmaInit, ewmaMean, ewmaUpdate } from "../../../assembly/stats/ewma";

const BLOCK_BYTES: i32 = 1024;
const READINGS: u32 = 64;
const block: usize = memory.data(1024, 8);
const readings: usize = memory.data(256, 8);
const bucket: usize = heap.alloc(BUCKET_BYTES);
const average: usize = heap.alloc(EWMA_BYTES);

/** `crc {n}`: CRC-32 of a kilobyte, n times. */
function crc(args: Args): i32 {
  const rounds = <u32>args.number("n", 0);
  let sum: u32 = 0;
  for (let round: u32 = 0; round < rounds; ++round) {
    store<u32>(block, round);
    sum = sum * 31 + crc32(block, BLOCK_BYTES);
  }
  args.answer(<f64>sum);
  return 0;
}

/** `bucket {n}`: n takes, of which about half are granted. */
function take(args: Args): i32 {
  const rounds = <u32>args.number("n", 0);
  bucketInit(bucket, 100, 1_000_000, 20, 0);
  let now: u64 = 0;
  let granted: u32 = 0;
  for (let round: u32 = 0; round < rounds; ++round) {
    now += 5_000;
    if (bucketTake(bucket, 1, now) == 0) granted += 1;
  }
  args.answer(<f64>granted);
  return 0;
}

/** `ewma {n}`: n readings judged and learnt. */
function ewma(args: Args): i32 {
  const rounds = <u32>args.number("n", 0);
  ewmaInit(average, 0.1, 4, 0.5, 20);
  let anomalies: u32 = 0;
  for (let round: u32 = 0; round < rounds; ++round) {
    if (ewmaUpdate(average, load<f32>(readings + <usize>((round % READINGS) << 2))) == 1) anomalies += 1;
  }
  args.answer(<f64>anomalies * 1048576.0 + <f64>(reinterpret<u32>(ewmaMean(average)) >> 12));
  return 0;
}

export function setup(): void {
  for (let at = 0; at < BLOCK_BYTES; ++at) store<u8>(block + <usize>at, <u8>(at * 7));
  for (let index: u32 = 0; index < READINGS; ++index) {
    const spike: u32 = index == 40 ? 30 : 0;
    store<f32>(readings + <usize>(index << 2), <f32>(<u32>20 + ((index * 13) % 17) + spike) * <f32>0.25);
  }
  onCommand("crc", crc);
  onCommand("bucket", take);
  onCommand("ewma", ewma);
}
