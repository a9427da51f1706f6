import { describe, expect, test } from "vitest";
import { createAnomalyDetector } from "../../../host/core/anomaly-detector.ts";
import { checkHandle, codeOfStatus, openCore } from "../../../host/core/core.ts";
import { readCoreBytes } from "../../../host/core/core-bytes.ts";
import { createHybridClock, stampMs } from "../../../host/core/hybrid-clock.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import { openTestCore } from "../../support/core.ts";

const core = openTestCore();

describe("the core", () => {
  test("is found and opened from its bytes", () => {
    expect(openCore(readCoreBytes()).raw.crc32(0, 0)).toBe(0);
  });

  test("shows its memory as it is after growing", () => {
    const before = core.bytes();
    const at = core.allocate(1 << 20);
    expect(core.bytes().length).toBeGreaterThan(before.length);
    core.bytes()[at + (1 << 20) - 1] = 7;
    expect(core.bytes()).toBe(core.bytes());
  });

  test("names its statuses", () => {
    expect(codeOfStatus(-110)).toBe("CBOR_TRUNCATED");
    expect(codeOfStatus(-9999)).toBe("INTERNAL");
    expect(checkHandle(3, "")).toBe(3);
    expect(() => checkHandle(-202, "No room.")).toThrow(TardigradeError);
  });
});

describe("the hybrid clock", () => {
  test("stamps, takes in, refuses drift, and starts above its persisted bound", () => {
    const wall = { nowMs: 1000, wallMs: () => wall.nowMs };
    const clock = createHybridClock(core, wall, { driftMsMax: 100 });
    const first = clock.tick();
    expect(stampMs(first)).toBe(1000);
    clock.receive(first + 5n);
    expect(clock.tick()).toBe(first + 6n);
    expect(clock.last()).toBe(first + 6n);
    expect(() => clock.receive(1101n << 16n)).toThrow(expect.objectContaining({ code: "CLOCK_DRIFT" }));
    const bound = clock.reserve(50);
    clock.boundPersisted(bound);
    wall.nowMs = 2000;
    expect(() => clock.tick()).toThrow("persist a new one");
    const next = createHybridClock(core, wall, { floor: bound });
    wall.nowMs = 0;
    expect(next.tick()).toBe(bound + 1n);
    clock[Symbol.dispose]();
    next[Symbol.dispose]();
  });
});

describe("the anomaly detector", () => {
  test("flags what is off, and nothing that is not finite", () => {
    const detector = createAnomalyDetector(core, { warmup: 3, deviationMin: 0.5 });
    const flags = [20, 20.1, 19.9, 20, 30, Number.NaN].map((reading) => detector.update(reading));
    expect(flags).toEqual([false, false, false, false, true, false]);
    expect(detector.z()).toBeGreaterThan(4);
    expect(detector.mean()).toBeCloseTo(21, 1);
    expect(detector.variance()).toBeGreaterThan(1);
    detector[Symbol.dispose]();
    expect(() => createAnomalyDetector(core, { alpha: 0 })).toThrow("0 < alpha");
  });
});
