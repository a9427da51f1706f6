/** Rate limits: create them at top level or in setup(), ask them in callbacks. */
import { ARGUMENT } from "../../assembly/errors/codes.generated";
import { GCRA_BYTES, gcraInit, gcraReserve, gcraTake, gcraWaitUs } from "../../assembly/resilience/gcra";
import { LOG_BYTES, LOG_LIMIT_MAX, logInit, logTake, logWaitUs } from "../../assembly/resilience/sliding-log";
import { BUCKET_BYTES, bucketInit, bucketTake, bucketWaitUs } from "../../assembly/resilience/token-bucket";
import {
  fixedTake,
  fixedWaitUs,
  slidingTake,
  slidingWaitUs,
  WINDOW_BYTES,
  windowInit,
} from "../../assembly/resilience/window";
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

/** At most `limit` in each period, counted from its begin: cheap, and lets twice the limit through around a boundary. */
export class FixedWindow {
  private readonly at: usize = heap.alloc(WINDOW_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32) {
    this.status = windowInit(this.at, limit, periodMs * 1000, tardi.now_us());
  }
  take(tokens: u32 = 1): bool {
    return fixedTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Microseconds until that many could be taken. */
  waitUs(tokens: u32 = 1): u64 {
    return fixedWaitUs(this.at, tokens, tardi.now_us());
  }
}

/** About `limit` in any period, estimated from this window and the one before. */
export class SlidingCounter {
  private readonly at: usize = heap.alloc(WINDOW_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32) {
    this.status = windowInit(this.at, limit, periodMs * 1000, tardi.now_us());
  }
  take(tokens: u32 = 1): bool {
    return slidingTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Microseconds until that many could be taken. */
  waitUs(tokens: u32 = 1): u64 {
    return slidingWaitUs(this.at, tokens, tardi.now_us());
  }
}

/** At most `limit` in any period, exactly; remembers each, 8 bytes. */
export class SlidingLog {
  private readonly at: usize = heap.alloc(LOG_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32) {
    this.status =
      limit > LOG_LIMIT_MAX
        ? -ARGUMENT
        : logInit(this.at, limit, periodMs * 1000, heap.alloc(<usize>limit * 8));
  }
  take(tokens: u32 = 1): bool {
    return logTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Microseconds until that many could be taken. */
  waitUs(tokens: u32 = 1): u64 {
    return logWaitUs(this.at, tokens, tardi.now_us());
  }
}
