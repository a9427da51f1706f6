import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { readCoreBytes } from "../../../host/core/core-bytes.ts";
import { type Instantiate, openPlanes } from "../../../host/core/planes.ts";
import { createCircuitBreaker } from "../../../host/core/policy/circuit-breaker.ts";
import { componentFolder, keepCoverage } from "../../support/core.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const FOLDER = componentFolder();
const { instantiate } = (await import(pathToFileURL(join(FOLDER, "core.js")).href)) as {
  instantiate: Instantiate;
};
const { core, typed } = openPlanes(instantiate, new Uint8Array(readFileSync(join(FOLDER, "core.core.wasm"))));
keepCoverage(core);
const { raw } = core;
const refused = expect.objectContaining({ code: "ARGUMENT" });
const breaker = {
  openMs: 100,
  halfOpenMs: 1000,
  consecutive: 2,
  windowCalls: 4,
  windowMs: 0,
  failureMilli: 1000,
  slowMilli: 0,
  slowMs: 0,
  callsMin: 4,
  permits: 1,
  successesMin: 1,
  nowMs: 0,
};

const limiter = {
  algorithm: "token-bucket",
  limit: 10,
  periodUs: 1_000_000,
  burst: 5,
  entries: 0,
  nowMs: 0,
} as const;

describe("the typed plane", () => {
  test("creates a breaker that the raw plane decides with, and inspects what came of it", () => {
    const handle = typed.createBreaker(breaker);
    expect(typed.inspectBreaker(handle, 0)).toEqual({
      state: "closed",
      inFlight: 0,
      probesOut: 0,
      granted: 0,
      refused: 0,
      opened: 0,
      waitMs: 0,
      windowCalls: 0,
      windowFailures: 0,
      windowSlow: 0,
    });
    for (let call = 0; call < 2; call += 1) raw.breakerReturn(handle, raw.breakerAcquire(handle, 0), 1, 0, 0);
    raw.breakerAcquire(handle, 40);
    expect(typed.inspectBreaker(handle, 40)).toMatchObject({
      state: "open",
      granted: 2,
      refused: 1,
      opened: 1,
      waitMs: 60,
      windowCalls: 2,
      windowFailures: 2,
    });
    raw.breakerAcquire(handle, 100);
    expect(typed.inspectBreaker(handle, 100)).toMatchObject({
      state: "half-open",
      inFlight: 1,
      probesOut: 1,
      granted: 3,
    });
    typed.freeBreaker(handle);
    expect(() => typed.inspectBreaker(handle, 0)).toThrow(refused);
    expect(() => typed.freeBreaker(handle)).toThrow(refused);
    expect(() => typed.createBreaker({ ...breaker, permits: 0 })).toThrow(refused);
  });

  test("creates a rate limiter that the raw plane takes from", () => {
    const handle = typed.createLimiter(limiter);
    raw.limiterTake(handle, 3, 0);
    raw.limiterTake(handle, 3, 0);
    expect(typed.inspectLimiter(handle, 100)).toEqual({
      remaining: 3,
      granted: 3,
      refused: 1,
      resetMs: 200,
      waitMs: 0,
    });
    typed.freeLimiter(handle);
    expect(() => typed.inspectLimiter(handle, 0)).toThrow(refused);
    expect(() => typed.freeLimiter(handle)).toThrow(refused);
    expect(() => typed.createLimiter({ ...limiter, limit: 0 })).toThrow(refused);
  });

  test("sees what policies of the host have taken from the pools", () => {
    const before = typed.inspectPools();
    const policy = createCircuitBreaker({ core, clock: new ManualClock() });
    raw.ewmaCreate(0.5, 4, 0, 0);
    raw.clockCreate(1000, 0n);
    const after = typed.inspectPools();
    expect(after.breakers.used - before.breakers.used).toBe(1);
    expect(after.averages.used - before.averages.used).toBe(1);
    expect(after.clocks.used - before.clocks.used).toBe(1);
    expect(after.limiters).toEqual(before.limiters);
    expect(typed.inspectBreaker(policy.handle, 0).state).toBe("closed");
    policy.close();
    expect(typed.inspectPools().breakers).toEqual(before.breakers);
  });

  test("passes on what is no error of the world", () => {
    const broken: Instantiate = (_, __, instantiateCore) => {
      instantiateCore(new WebAssembly.Module(readCoreBytes()), {});
      const fail = (): never => {
        throw new WebAssembly.RuntimeError("unreachable");
      };
      return { policies: { ...typed, inspectPools: fail } };
    };
    expect(() => openPlanes(broken, new Uint8Array(0)).typed.inspectPools()).toThrow("unreachable");
  });

  test("shows a failed instantiation", () => {
    const silent: Instantiate = () => ({ policies: typed });
    expect(() => openPlanes(silent, new Uint8Array(0))).toThrow("instantiated no module");
  });
});
