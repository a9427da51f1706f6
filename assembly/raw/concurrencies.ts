/** Adaptive concurrency limits by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  concurrencyAimd,
  concurrencyBaseline,
  concurrencyBaselineUs,
  concurrencyInit,
  concurrencyLimit as limitOf,
  concurrencySample as sample,
} from "../resilience/concurrency";
import { CONCURRENCIES } from "./pools";
import { isSpan, isTime, microseconds, milliseconds, u32Microseconds } from "./time";

/** kind: 0 AIMD, 1 Vegas, 2 gradient; the other numbers as resilience/concurrency.ts has them. A handle, or -ARGUMENT, or -POOL_FULL. */
export function concurrencyCreate(
  kind: u32,
  limit: u32,
  limitMin: u32,
  limitMax: u32,
  windowMs: f64,
  decreaseMilli: u32,
  slowMs: f64,
  measureEveryMs: f64,
  toleranceMilli: u32,
  nowMs: f64,
): i32 {
  if (!isTime(nowMs) || !isSpan(windowMs) || !isSpan(slowMs) || !isSpan(measureEveryMs)) return -ARGUMENT;
  const handle = poolTake(CONCURRENCIES, true);
  if (handle < 0) return handle;
  const at = poolAt(CONCURRENCIES, handle);
  const nowUs = microseconds(nowMs);
  let status = concurrencyInit(at, kind, limit, limitMin, limitMax, u32Microseconds(windowMs), nowUs);
  if (status == 0) status = concurrencyAimd(at, decreaseMilli, u32Microseconds(slowMs));
  if (status == 0) status = concurrencyBaseline(at, u32Microseconds(measureEveryMs), toleranceMilli, nowUs);
  if (status == 0) return handle;
  poolGive(CONCURRENCIES, handle);
  return status;
}

export function concurrencyFree(handle: u32): i32 {
  return poolGive(CONCURRENCIES, handle) ? 0 : -ARGUMENT;
}

/** The limit after it, or -ARGUMENT. */
export function concurrencySample(
  handle: u32,
  startedMs: f64,
  inFlight: u32,
  dropped: bool,
  nowMs: f64,
): i32 {
  const at = poolAt(CONCURRENCIES, handle);
  if (at == 0 || !isTime(nowMs) || !isTime(startedMs)) return -ARGUMENT;
  sample(at, microseconds(startedMs), inFlight, dropped, microseconds(nowMs));
  return <i32>limitOf(at);
}

export function concurrencyLimit(handle: u32): i32 {
  const at = poolAt(CONCURRENCIES, handle);
  return at == 0 ? -ARGUMENT : <i32>limitOf(at);
}

/** 0 before there is one. */
export function concurrencyBaselineMs(handle: u32): f64 {
  const at = poolAt(CONCURRENCIES, handle);
  return at == 0 ? <f64>-ARGUMENT : milliseconds(<u64>concurrencyBaselineUs(at));
}
