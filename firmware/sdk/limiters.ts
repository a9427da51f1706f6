/** Rate limits: create them at top level or in setup(), ask them in callbacks. */
import { GCRA_BYTES, gcraInit, gcraReserve, gcraTake, gcraWaitUs } from "../../assembly/resilience/gcra";
import { BUCKET_BYTES, bucketInit, bucketTake, bucketWaitUs } from "../../assembly/resilience/token-bucket";
import * as tardi from "./tardi";

/** Lets `limit` tokens through each `periodMs`, and saved-up bursts of at most `burst`. */
export class TokenBucket {
  private readonly at: usize = heap.alloc(BUCKET_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32, burst: u32) {
    this.status = bucketInit(this.at, limit, periodMs * 1000, burst, tardi.now_us());
  }
  take(tokens: u32 = 1): bool {
    return bucketTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Microseconds until that many tokens are there. */
  waitUs(tokens: u32 = 1): u64 {
    return bucketWaitUs(this.at, tokens, tardi.now_us());
  }
}

/** A rate limit that decides as the token bucket does, and can also put in a queue: `reserveUs` says how long to wait for one's place. */
export class Gcra {
  private readonly at: usize = heap.alloc(GCRA_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32, burst: u32) {
    this.status = gcraInit(this.at, limit, periodMs * 1000, burst);
  }
  take(tokens: u32 = 1): bool {
    return gcraTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Takes a place: microseconds until its turn, or the negative of a code when the queue is full. */
  reserveUs(tokens: u32 = 1): i64 {
    return gcraReserve(this.at, tokens, tardi.now_us());
  }
  /** Microseconds until that many tokens could be taken. */
  waitUs(tokens: u32 = 1): u64 {
    return gcraWaitUs(this.at, tokens, tardi.now_us());
  }
}
