/** The pools behind the handles of the raw plane. They grow when something is created, never in a decision. */
import { HLC_BYTES } from "../clock/hlc";
import { POOL_BYTES, poolInit } from "../memory/pool";
import { BREAKER_BYTES } from "../resilience/breaker";
import { LIMITER_BYTES } from "../resilience/limiter";
import { EWMA_BYTES } from "../stats/ewma";

const POOL_START: u32 = 32;

export const BREAKERS: usize = memory.data(POOL_BYTES, 8);
export const LIMITERS: usize = memory.data(POOL_BYTES, 8);
export const AVERAGES: usize = memory.data(POOL_BYTES, 8);
export const CLOCKS: usize = memory.data(POOL_BYTES, 8);
poolInit(BREAKERS, BREAKER_BYTES, POOL_START);
poolInit(LIMITERS, LIMITER_BYTES, POOL_START);
poolInit(AVERAGES, EWMA_BYTES, POOL_START);
poolInit(CLOCKS, HLC_BYTES, POOL_START);
