import { expect, test } from "vitest";
import { SimulatedClock } from "../../../host/world/clock.ts";

test("rings in the order of time, then of setting, each at its own time", async () => {
  const clock = new SimulatedClock({ startMs: 100 });
  const rung: string[] = [];
  const note = (name: string) => () => rung.push(`${name}@${clock.monotonicMs()}`);
  for (const [name, delay] of [
    ["c", 30],
    ["a", 10],
    ["b", 20],
    ["b2", 20],
    ["z", 500],
  ] as const)
    clock.alarm(delay, note(name));
  await clock.advance(50);
  expect(rung).toEqual(["a@110", "b@120", "b2@120", "c@130"]);
  expect([clock.monotonicMs(), clock.pendingAlarms, clock.nextAlarmMs]).toEqual([150, 1, 600]);
});

test("keeps its order through thousands of alarms and disposals", async () => {
  const clock = new SimulatedClock();
  const rung: number[] = [];
  let seed = 1;
  for (let count = 0; count < 3000; count += 1) {
    seed = (seed * 48271) % 2147483647;
    const dispose = clock.alarm(seed % 1000, () => rung.push(clock.monotonicMs()));
    if (count % 3 === 0) dispose();
  }
  clock.advanceSync(1000);
  expect(rung.length).toBe(2000);
  expect(rung).toEqual([...rung].sort((a, b) => a - b));
  expect([clock.pendingAlarms, clock.nextAlarmMs]).toEqual([0, undefined]);
});

test.each([
  ["through the event loop", false],
  ["without it", true],
])(
  "what an alarm starts goes on before the next alarm rings, however many promises deep, %s",
  async (_, isPure) => {
    const clock = new SimulatedClock({ isPure });
    const events: string[] = [];
    const deep = async () => {
      for (let step = 0; step < 500; step += 1) await undefined;
      events.push("work of the first");
    };
    clock.alarm(1, () => void deep());
    clock.alarm(2, () => events.push("second"));
    await clock.advance(5);
    expect(events).toEqual(["work of the first", "second"]);
  },
);

test("alarms set on the way ring in the same advance", async () => {
  const clock = new SimulatedClock();
  let beats = 0;
  const beat = () => {
    beats += 1;
    clock.alarm(10, beat);
  };
  beat();
  await clock.advance(100);
  expect(beats).toBe(11);
});

test("runs until a condition, and says why it cannot", async () => {
  const clock = new SimulatedClock();
  let done = false;
  clock.alarm(70, () => {
    done = true;
  });
  await clock.runUntil(() => done);
  expect(clock.monotonicMs()).toBe(70);
  await expect(clock.runUntil(() => false)).rejects.toThrow("no alarm is left");
  clock.alarm(1000, () => undefined);
  await expect(clock.runUntil(() => false, { limitMs: 10 })).rejects.toThrow("the limit is reached");
});

test("the wall clock goes along and may jump; monotonic time does not", async () => {
  const clock = new SimulatedClock({ wallMs: 5_000 });
  await clock.advance(10);
  expect(clock.wallMs()).toBe(5_010);
  clock.setWallMs(1_000);
  expect([clock.wallMs(), clock.monotonicMs()]).toEqual([1_000, 10]);
  await clock.advance(1);
  expect(clock.wallMs()).toBe(1_001);
});
