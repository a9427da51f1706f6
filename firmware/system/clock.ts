/**
 * The device's wall clock and its stamps. A board has no clock that outlives a power cut: the gateway tells the time with each welcome and, now and then, with a durable
 * acknowledgement; in between uptime counts on, some 4 s a day off (50 ppm). Until the first welcome of a boot nothing is stamped: the gateway's stamp of the record
 * stands for it. Stamps begin anew with each boot; the stamp in the welcome puts them above all that the gateway has seen.
 *
 * The hybrid logical clock (assembly/clock/hlc.ts) keeps stamps rising when the wall clock is set back, and above what the gateway stamped before it told us.
 */
import { HLC_BYTES, hlcInit, hlcLast, hlcReceive, hlcTick } from "../../assembly/clock/hlc";
import { buildU64 } from "./build";
import { hal_now_us } from "./hal";
import { reserve } from "./memory";
import { parseStamp, parseUint } from "./parse";
import { STAMP_KEY } from "./tokens";

const DRIFT_MS_MAX: u32 = 60_000;
/** Of welcome and durableAck. */
const WALL_KEY: u8 = 6;
/** Beyond it, in some 4,000 years, what is told is no time, and there would be no room to count on. */
const TOLD_MS_MAX: u64 = 1 << 47;
const MS_BITS: u64 = 16;

const hlc: usize = reserve(HLC_BYTES);
hlcInit(hlc, DRIFT_MS_MAX, 0);
/** Wall clock at uptime 0 in microseconds since 1970, 0 until it is told. */
let originUs: u64 = 0;

function wallMs(): u64 {
  return (originUs + hal_now_us()) / 1000;
}

/** Takes the gateway's wall clock from the parsed welcome or durableAck, if it is told. Only of a session that is ours: an old one tells an old time. */
export function clockSet(): void {
  const toldMs = parseUint(WALL_KEY);
  if (toldMs != 0 && toldMs < TOLD_MS_MAX) originUs = toldMs * 1000 - hal_now_us();
}

/** And the stamp of that welcome, however far it leads: it is the gateway's own, and what we do from now on is above it. */
export function clockWelcome(): void {
  clockSet();
  const ms = parseStamp() >> MS_BITS;
  if (originUs != 0 && ms < TOLD_MS_MAX) hlcReceive(hlc, ms, parseStamp());
}

/**
 * Takes in the stamp of the parsed command or shadow, once we know the time. 0, or -CLOCK_DRIFT when it is too far ahead. One whose milliseconds are not above
 * ours drags nothing along: after a wall clock that was set back, we and the gateway lead and count on alike.
 */
export function clockHear(): i32 {
  if (originUs == 0) return 0;
  const stamp = parseStamp();
  const ms = stamp >> MS_BITS;
  return hlcReceive(hlc, ms > hlcLast(hlc) >> MS_BITS ? wallMs() : ms, stamp);
}

/** Adds the stamp to the message that is being built. It must be its highest key: an error that tells of the boot before (key 12) is built before any welcome. */
export function clockStamp(): void {
  if (originUs != 0) buildU64(STAMP_KEY, hlcTick(hlc, wallMs()));
}
