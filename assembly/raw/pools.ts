/** The pools behind the handles of the raw plane. They grow when something is created, never in a decision. */
import { HLC_BYTES } from "../clock/hlc";
import { POOL_BYTES, poolInit } from "../memory/pool";
import { BREAKER_BYTES_MAX } from "../resilience/breaker";
import { CONCURRENCY_BYTES } from "../resilience/concurrency";
import { LAST_GOOD_BYTES } from "../resilience/last-good";
import { LATENCY_BYTES } from "../resilience/latency";
import { LIMITER_BYTES } from "../resilience/limiter";
import { BUDGET_BYTES_MAX } from "../resilience/retry-budget";
import { THROTTLE_BYTES_MAX } from "../resilience/throttle";
import { EWMA_BYTES } from "../stats/ewma";

const POOL_START: u32 = 32;
/** Of what lies in memory that the caller gave: its address. */
const ADDRESS_BYTES: usize = 8;

export const BREAKERS: usize = memory.data(POOL_BYTES, 8);
export const LIMITERS: usize = memory.data(POOL_BYTES, 8);
export const AVERAGES: usize = memory.data(POOL_BYTES, 8);
export const CLOCKS: usize = memory.data(POOL_BYTES, 8);
export const THROTTLES: usize = memory.data(POOL_BYTES, 8);
export const BUDGETS: usize = memory.data(POOL_BYTES, 8);
export const LATENCIES: usize = memory.data(POOL_BYTES, 8);
export const LAST_GOODS: usize = memory.data(POOL_BYTES, 8);
export const CONCURRENCIES: usize = memory.data(POOL_BYTES, 8);
export const BULKHEADS: usize = memory.data(POOL_BYTES, 8);
export const WHEELS: usize = memory.data(POOL_BYTES, 8);
poolInit(BREAKERS, BREAKER_BYTES_MAX, POOL_START);
poolInit(LIMITERS, LIMITER_BYTES, POOL_START);
poolInit(AVERAGES, EWMA_BYTES, POOL_START);
poolInit(CLOCKS, HLC_BYTES, POOL_START);
poolInit(THROTTLES, THROTTLE_BYTES_MAX, POOL_START);
poolInit(BUDGETS, BUDGET_BYTES_MAX, POOL_START);
poolInit(LATENCIES, LATENCY_BYTES, POOL_START);
poolInit(LAST_GOODS, LAST_GOOD_BYTES, POOL_START);
poolInit(CONCURRENCIES, CONCURRENCY_BYTES, POOL_START);
poolInit(BULKHEADS, ADDRESS_BYTES, POOL_START);
poolInit(WHEELS, ADDRESS_BYTES, POOL_START);
