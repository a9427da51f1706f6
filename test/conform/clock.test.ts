/**
 * One suite for every Clock. `pass` lets real or simulated time go on until the alarms that are due have
 * rung.
 */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../host/io/clock.ts";
import type { Clock } from "../../host/io/seams.ts";
import { SimulatedClock } from "../../host/world/clock.ts";

interface Subject {
  readonly clock: Clock;
  until(condition: () => boolean): Promise<void>;
}

const CLOCKS: Record<string, () => Subject> = {
  system: () => {
    const clock = systemClock();
    const until = async (condition: () => boolean) => {
      while (!condition()) await new Promise((resolve) => setImmediate(resolve));
    };
    return { clock, until };
  },
  simulated: () => {
    const clock = new SimulatedClock();
    return { clock, until: (condition) => clock.runUntil(condition) };
  },
};

describe.each(Object.entries(CLOCKS))("Clock: %s", (_name, make) => {
  test("monotonic time never goes back, and an alarm rings no earlier than its delay", async () => {
    const { clock, until } = make();
    const before = clock.monotonicMs();
    let rungMs: number | undefined;
    clock.alarm(5, () => {
      rungMs = clock.monotonicMs();
    });
    expect(rungMs).toBeUndefined();
    await until(() => rungMs !== undefined);
    // Timers of the platform count whole milliseconds and may ring a fraction early.
    expect(rungMs as number).toBeGreaterThanOrEqual(before + 4);
  });

  test("alarms ring once, in the order of their time", async () => {
    const { clock, until } = make();
    const rung: string[] = [];
    clock.alarm(20, () => rung.push("late"));
    clock.alarm(1, () => rung.push("early"));
    clock.alarm(-5, () => rung.push("past"));
    await until(() => rung.length >= 3);
    expect([...rung].sort()).toEqual(["early", "late", "past"]);
    expect(rung.at(-1)).toBe("late");
  });

  test("a disposed alarm does not ring; disposing twice, or after it rang, does nothing", async () => {
    const { clock, until } = make();
    const rung: string[] = [];
    const dispose = clock.alarm(1, () => rung.push("no"));
    dispose();
    dispose();
    const second = clock.alarm(2, () => rung.push("yes"), { background: false });
    await until(() => rung.length > 0);
    second();
    expect(rung).toEqual(["yes"]);
  });

  test("an alarm may set and dispose of alarms", async () => {
    const { clock, until } = make();
    const rung: number[] = [];
    const doomed = clock.alarm(50, () => rung.push(-1));
    clock.alarm(1, () => {
      rung.push(1);
      doomed();
      clock.alarm(1, () => rung.push(2));
    });
    await until(() => rung.length === 2);
    expect(rung).toEqual([1, 2]);
  });

  test("the wall clock counts milliseconds since 1970", () => {
    const { clock } = make();
    expect(Number.isInteger(clock.wallMs())).toBe(true);
    expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2025, 0, 1));
  });
});
