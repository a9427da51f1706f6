/** Latency quantiles by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  latencyUs as estimateOf,
  latencyInit,
  latencyRecord as record,
  latencyTimeoutUs as timeoutOf,
} from "../resilience/latency";
import { LATENCIES } from "./pools";
import { isSpan, milliseconds, u32Microseconds } from "./time";

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function latencyCreate(qMilli: u32): i32 {
  const handle = poolTake(LATENCIES, true);
  if (handle < 0) return handle;
  const status = latencyInit(poolAt(LATENCIES, handle), qMilli);
  if (status == 0) return handle;
  poolGive(LATENCIES, handle);
  return status;
}

export function latencyFree(handle: u32): i32 {
  return poolGive(LATENCIES, handle) ? 0 : -ARGUMENT;
}

export function latencyRecord(handle: u32, tookMs: f64): i32 {
  const at = poolAt(LATENCIES, handle);
  if (at == 0 || !isSpan(tookMs)) return -ARGUMENT;
  record(at, u32Microseconds(tookMs));
  return 0;
}

/** Milliseconds, 0 before there is an estimate; -ARGUMENT for a handle that names nothing. */
export function latencyMs(handle: u32): f64 {
  const at = poolAt(LATENCIES, handle);
  return at == 0 ? <f64>-ARGUMENT : milliseconds(<u64>estimateOf(at));
}

export function latencyTimeoutMs(handle: u32, factorMilli: u32, minMs: f64, maxMs: f64): f64 {
  const at = poolAt(LATENCIES, handle);
  if (at == 0 || !isSpan(minMs) || !isSpan(maxMs)) return <f64>-ARGUMENT;
  return milliseconds(<u64>timeoutOf(at, factorMilli, u32Microseconds(minMs), u32Microseconds(maxMs)));
}
