/**
 * Histories of real threads, judged by the linearizability checker; and much traffic with nothing lost, doubled or out of order. Some seconds here, minutes with TARDIGRADE_DEEP=1.
 */
import { describe, expect, test } from "vitest";
import { deque, type Handle, map, queue, ring, stack } from "../../../host/exports/lockfree.ts";
import {
  checkLinearizability,
  describeVerdict,
  type Model,
  type Operation,
} from "../../../host/world/linearizability/checker.ts";
import { mapModel, sequenceModel } from "../../../host/world/linearizability/models.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { PAIR } from "../../support/lockfree/schemas.ts";
import { thread } from "../../support/lockfree/thread.ts";

const LONG_MS = 600_000;
const DEEP = process.env.TARDIGRADE_DEEP === "1";
const ROUNDS = DEEP ? 6000 : 30;
/** As many as there are processors to run them at once: who waits for one overlaps with nobody. */
const THREADS = 2;
const OPERATIONS = 80;

/** Some threads at one structure at the same time, each with dice of its own; all operations with times of one clock. */
async function record(job: string, open: () => Handle): Promise<Operation<unknown, unknown>[][]> {
  const random = seededRandom(7);
  const clock = new Int32Array(new SharedArrayBuffer(12));
  // Threads are started once; handles and a start signal come by message.
  const threads = Array.from({ length: THREADS }, () => thread({ job: "histories", handle: open() }));
  const histories: Operation<unknown, unknown>[][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const handle = open();
    Atomics.store(clock, 0, 0);
    const answers = await Promise.all(
      threads.map(({ worker }, index) => {
        const answer = new Promise<Operation<unknown, unknown>[]>((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
        });
        worker.postMessage({
          job,
          handle,
          clock,
          by: index,
          threads: THREADS,
          operations: OPERATIONS,
          seed: random.u32(),
        });
        return answer;
      }),
    );
    histories.push(answers.flat());
  }
  await Promise.all(threads.map(({ worker }) => worker.terminate()));
  return histories;
}

function judge<State, Input, Output>(
  histories: readonly Operation<unknown, unknown>[][],
  model: Model<State, Input, Output>,
): void {
  let overlaps = 0;
  for (const history of histories) {
    const operations = history as Operation<Input, Output>[];
    overlaps += operations.filter((one) =>
      operations.some(
        (other) => other !== one && other.calledAt < one.returnedAt && one.calledAt < other.returnedAt,
      ),
    ).length;
    const verdict = checkLinearizability(operations, model);
    expect(verdict.verdict === "linearizable" ? "" : describeVerdict(verdict, model)).toBe("");
  }
  // Else the threads ran one after the other, and nothing was tried.
  expect(overlaps).toBeGreaterThan(histories.length);
}

describe("histories of threads are linearizable", () => {
  test(
    "a queue of four",
    async () => {
      judge(
        await record("queue", () => queue({ schema: PAIR, capacity: 4 }).handle),
        sequenceModel("fifo", 4),
      );
    },
    LONG_MS,
  );
  test(
    "a stack of four",
    async () => {
      const histories = await record("stack", () => stack({ schema: PAIR, capacity: 4 }).handle);
      // "Full" means that no block is free, and one may be in the hands of a thread: it says nothing of the records.
      judge(
        histories.map((history) => history.filter(({ output }) => output !== false)),
        sequenceModel("lifo", 4),
      );
    },
    LONG_MS,
  );
  test(
    "a deque of four with its owner and a thief",
    async () => {
      judge(await record("deque", () => deque({ capacity: 4 }).handle), sequenceModel("lifo", 4));
    },
    LONG_MS,
  );
  test(
    "a map that grows from four slots",
    async () => {
      judge(await record("map", () => map({ capacity: 64, initial: 4 }).handle), mapModel);
    },
    LONG_MS,
  );
});

describe("traffic", () => {
  const COUNT = DEEP ? 200_000_000 : 200_000;
  test(
    `${COUNT} records through a ring, in order and whole`,
    async () => {
      const one = ring({ schema: PAIR, capacity: 256 });
      const { result } = thread({ job: "produceSync", handle: one.handle, count: COUNT });
      const consumer = one.consumer();
      let next = 0;
      let wrong = 0;
      while (next < COUNT) {
        consumer.shiftBatch(64, ({ id, check }) => {
          if (id !== next || check !== (id * 3) >>> 0) wrong += 1;
          next += 1;
        });
        if (next < COUNT) consumer.waitSync();
      }
      await result;
      expect(wrong).toBe(0);
    },
    LONG_MS,
  );

  test(
    `${COUNT / 4} records through a queue, two threads and this one: the sums agree, each producer's in order`,
    async () => {
      const one = queue({ schema: PAIR, capacity: 64 });
      const count = COUNT / 8;
      const producers = [0, 1].map((index) =>
        thread({ job: "queuePush", handle: one.handle, from: index * count, count }),
      );
      const last = [-1, -1];
      let wrong = 0;
      for (let got = 0; got < 2 * count; got += 1) {
        one.shiftSync(({ id, check }) => {
          const producer = id < count ? 0 : 1;
          const number = id - producer * count;
          if (number !== (last[producer] ?? 0) + 1 || check !== (id * 3) >>> 0) wrong += 1;
          last[producer] = number;
        });
      }
      await Promise.all(producers.map(({ result }) => result));
      expect([wrong, ...last, one.count]).toEqual([0, count - 1, count - 1, 0]);
    },
    LONG_MS,
  );
});
