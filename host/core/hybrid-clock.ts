/** Hybrid logical clock over the core's; assembly/clock/hlc.ts has the algorithm. Stamps are 48 bits of ms and 16 logical. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, checkHandle, codeOfStatus } from "./core.ts";

const LOGICAL_BITS = 16n;

export interface HybridClockOptions {
  /** Remote stamps further ahead than this are refused. Default 60,000. Infinity: none is, what comes has been judged. */
  readonly driftMsMax?: number;
  /** The persisted bound of the run before; stamps begin above it. */
  readonly floor?: bigint;
}

export interface HybridClock extends Disposable {
  /** A stamp above every one before. Throws CLOCK_DRIFT when a persisted bound is set and reached. */
  tick(): bigint;
  /** Takes in a remote stamp, so that the next tick is above it. Throws CLOCK_DRIFT. */
  receive(remote: bigint): void;
  last(): bigint;
  /** A bound `aheadMs` from now, to be persisted and then given to boundPersisted. */
  reserve(aheadMs: number): bigint;
  boundPersisted(bound: bigint): void;
}

export function createHybridClock(
  core: Core,
  clock: { wallMs(): number },
  options: HybridClockOptions = {},
): HybridClock {
  const { raw } = core;
  const { driftMsMax = 60_000, floor = 0n } = options;
  const isBounded = driftMsMax !== Number.POSITIVE_INFINITY;
  const handle = checkHandle(
    raw.clockCreate(isBounded ? driftMsMax : 0, floor),
    "The hybrid clock could not be created.",
  );
  return {
    tick: () => {
      const stamp = BigInt.asUintN(64, raw.clockTick(handle, clock.wallMs()));
      if (stamp !== 0n) return stamp;
      throw new TardigradeError("CLOCK_DRIFT", "The persisted bound is reached; persist a new one first.");
    },
    receive: (remote) => {
      // By its own wall clock no stamp is ahead.
      const status = raw.clockReceive(handle, isBounded ? clock.wallMs() : stampMs(remote), remote);
      if (status === 0) return;
      throw new TardigradeError(
        codeOfStatus(status),
        "A remote clock is further ahead than the drift bound; set that machine's clock.",
        { context: { component: "hybrid-clock", remoteMs: stampMs(remote), wallMs: clock.wallMs() } },
      );
    },
    last: () => BigInt.asUintN(64, raw.clockLast(handle)),
    reserve: (aheadMs) => BigInt.asUintN(64, raw.clockReserve(handle, clock.wallMs(), aheadMs)),
    boundPersisted: (bound) => {
      raw.clockBoundSet(handle, bound);
    },
    [Symbol.dispose]: () => {
      raw.clockFree(handle);
    },
  };
}

/** Wall milliseconds of a stamp. */
export function stampMs(stamp: bigint): number {
  return Number(stamp >> LOGICAL_BITS);
}
