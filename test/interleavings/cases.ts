/** Small uses of each structure, with what must hold at their end: searched whole, with a thread parked anywhere, and with bugs planted. */
import {
  checkLinearizability,
  describeVerdict,
  type Model,
} from "../../host/world/linearizability/checker.ts";
import {
  type MapInput,
  mapModel,
  type QueueInput,
  sequenceModel,
} from "../../host/world/linearizability/models.ts";
import { ERRORS } from "../../protocols/table.ts";
import type { Value } from "./arithmetic.ts";
import type { Call, Outcome, Program, Search, Step } from "./explore.ts";

export interface Case {
  readonly name: string;
  readonly structure: string;
  readonly search: Omit<Search, "wasm">;
  /** What must hold although a thread was parked; default: `check` of a case with a history, where its last call may or may not have taken effect, else that the others end. */
  readonly whenParked?: Search["check"];
}

const AT = 512;
const OWN = [64, 128, 192] as const;
const STALLED = -ERRORS.SHARED_STALLED.number;
const call = (name: string, ...args: number[]): Step => ({ call: name, args: [AT, ...args] });
const of = (step: Step): { readonly name: string; readonly args: readonly number[] } =>
  "call" in step ? { name: step.call, args: step.args.map(Number) } : { name: "", args: [] };

/** Judges the calls that are operations of the model; a call that never returned may have taken effect. */
function linearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operation: (call: Call) => { readonly input: Input; readonly output: Output | undefined } | undefined,
) {
  return ({ calls }: Pick<Outcome, "calls">): string | undefined => {
    const history = calls.flatMap((one) => {
      const found = operation(one);
      if (found === undefined) return [];
      const output = one.returnedAt === Number.POSITIVE_INFINITY ? undefined : found.output;
      return [{ ...found, output, calledAt: one.calledAt, returnedAt: one.returnedAt, by: one.thread }];
    });
    const verdict = checkLinearizability(history, model);
    return verdict.verdict === "linearizable" ? undefined : describeVerdict(verdict, model);
  };
}

/** Pushes and takes of values, by the names of functions; a status below 0 is "full" or "none". */
function sequence(
  order: "fifo" | "lifo",
  capacity: number,
  names: { push: string; take: string; steal?: string },
) {
  return linearizable(sequenceModel(order, capacity), ({ step, result }) => {
    const { name, args } = of(step);
    const status = Number(result);
    if (name === names.push)
      return { input: { kind: "push", value: args.at(-1) ?? 0 } satisfies QueueInput, output: status >= 0 };
    const kind = name === names.take ? "take" : name === names.steal ? "steal" : undefined;
    return kind === undefined
      ? undefined
      : { input: { kind } satisfies QueueInput, output: status < 0 ? null : status };
  });
}

/** A queue that answers STALLED promises nothing by it: such a call is left out. */
const notStalled =
  (check: (outcome: Pick<Outcome, "calls">) => string | undefined) =>
  ({ calls }: Pick<Outcome, "calls">) =>
    check({ calls: calls.filter(({ result }) => Number(result) !== STALLED) });

const maps = linearizable(mapModel, ({ step, result }) => {
  const { name, args } = of(step);
  const [, key = 0, a = 0, b = 0] = args;
  const status = Number(result);
  const inputs: Readonly<Record<string, MapInput>> = {
    mapSetKey: { kind: "set", key, value: a },
    mapAddKey: { kind: "add", key, value: a },
    mapGetKey: { kind: "get", key },
    mapDeleteKey: { kind: "delete", key },
    mapSwapKey: { kind: "compare-and-set", key, from: a, to: b },
  };
  const input = inputs[name];
  if (input === undefined) return undefined;
  const isValue = input.kind === "get" || input.kind === "delete";
  return {
    input,
    output: isValue ? (status < 0 ? null : status) : input.kind === "set" ? status === 0 : status === 1,
  };
});

/** All values that were pushed are there once: taken by somebody, or still in it. */
function conserved(
  { results }: Outcome,
  pushed: readonly number[],
  left: readonly number[],
): string | undefined {
  const taken = results
    .flat()
    .map(Number)
    .filter((value) => value > 0);
  const met = [...taken, ...left].sort((a, b) => a - b);
  return met.join() === [...pushed].sort((a, b) => a - b).join()
    ? undefined
    : `of ${pushed.join()} there are ${met.join()}`;
}

function drained(call_: Outcome["call"], name: string): readonly number[] {
  const left: number[] = [];
  for (let value = Number(call_(name, AT)); value >= 0; value = Number(call_(name, AT))) left.push(value);
  return left;
}

/** What came out of pairs pushed is 1, 2, 3, ... as many as went in, if not all at once. */
function batches({ results, call: after }: Outcome): string | undefined {
  const [first = 0, second = 0] = (results[0] ?? []).map(Number);
  const sent = [1, 2].slice(0, first).concat([3, 4].slice(0, second));
  const got = (results[1] ?? [])
    .map(Number)
    .flatMap((two) => (two < 0 ? [] : two < 100 ? [two] : [Math.floor(two / 100), two % 100]));
  const all = [...got, ...drained(after, "spscShift")].join();
  return all === sent.join() ? undefined : `sent ${sent.join()}, came out as ${all}`;
}

function wholeValues({ results }: Outcome): string | undefined {
  const read = (results[1] ?? []).map(Number).filter((value) => value !== -2);
  if (read.includes(-1)) return "a torn value";
  return read.some((value, index) => value < (read[index - 1] ?? 0))
    ? `read ${read.join(", then ")}`
    : undefined;
}

const dequeHistory = sequence("lifo", 4, { push: "dequePush", take: "dequeTake", steal: "dequeSteal" });

/** Announces itself, looks again, sleeps while there is nothing; then takes. */
const sleeper =
  (take: string, event: number): Program =>
  (results) => {
    const round: readonly ((last: Value) => Step | undefined)[] = [
      () => call(take),
      (first) => (Number(first) >= 0 ? undefined : { call: "eventAnnounce", args: [AT + event] }),
      () => call(take),
      (second) => (Number(second) >= 0 ? undefined : { wait: AT + event, expected: Number(results[1]) }),
      () => ({ call: "eventLeave", args: [AT + event] }),
      () => call(take),
    ];
    return round[results.length]?.(results.at(-1) ?? 0);
  };

const ITEMS = 192;

export const CASES: readonly Case[] = [
  {
    name: "three numbers through a ring of two",
    structure: "spsc-ring",
    search: {
      setup: (make) => make("spscInit", AT, 2, 4),
      threads: [[1, 2, 3].map((value) => call("spscPush", value)), [0, 1, 2].map(() => call("spscShift"))],
      history: true,
      check: sequence("fifo", 2, { push: "spscPush", take: "spscShift" }),
    },
  },
  {
    name: "batches of two around the end of a ring of four, after one",
    structure: "spsc-ring",
    search: {
      setup: (make) => {
        make("spscInit", AT, 4, 4);
        for (let value = 0; value < 3; value += 1) make("spscPush", AT, 9);
        for (let value = 0; value < 3; value += 1) make("spscShift", AT);
      },
      threads: [
        [1, 3].map((first) => call("spscPushTwo", OWN[0], first)),
        [0, 1].map(() => call("spscShiftTwo", OWN[1])),
      ],
      check: batches,
    },
  },
  {
    name: "batches of two through a ring of two",
    structure: "spsc-ring",
    search: {
      setup: (make) => make("spscInit", AT, 2, 4),
      threads: [
        [1, 3].map((first) => call("spscPushTwo", OWN[0], first)),
        [0, 1].map(() => call("spscShiftTwo", OWN[1])),
      ],
      check: batches,
    },
  },
  {
    name: "a consumer that sleeps is woken",
    structure: "event",
    search: {
      setup: (make) => make("spscInit", AT, 2, 4),
      threads: [[call("spscPush", 5)], sleeper("spscShift", ITEMS)],
      check: ({ results }) =>
        results[1]?.some((value) => Number(value) === 5) ? undefined : "it slept or came back with nothing",
    },
  },
  {
    name: "records around the end",
    structure: "record-ring",
    search: {
      setup: (make) => {
        make("recordsInit", AT, 64);
        make("recordsPush", AT, 24, 9);
        make("recordsShift", AT);
      },
      threads: [
        [call("recordsPush", 16, 1), call("recordsPush", 8, 2), call("recordsPush", 4, 3)],
        [0, 1, 2].map(() => call("recordsShift")),
      ],
      check: ({ results, call: after }) => {
        const sent = [1, 2, 3].filter((_, index) => Number(results[0]?.[index]) === 0);
        const got = [
          ...(results[1] ?? []).map(Number).filter((value) => value >= 0),
          ...drained(after, "recordsShift"),
        ];
        return got.join() === sent.join() ? undefined : `sent ${sent.join()}, came out as ${got.join()}`;
      },
    },
  },
  {
    name: "two threads push and take, in a queue of two",
    structure: "mpmc-queue",
    search: {
      setup: (make) => make("mpmcInit", AT, 2, 4),
      threads: [
        [call("mpmcPush", 1), call("mpmcShift"), call("mpmcShift")],
        [call("mpmcPush", 2), call("mpmcShift")],
      ],
      history: true,
      check: notStalled(sequence("fifo", 2, { push: "mpmcPush", take: "mpmcShift" })),
    },
  },
  {
    name: "rows of two beside single values, in a queue of two",
    structure: "mpmc-queue",
    search: {
      setup: (make) => make("mpmcInit", AT, 2, 4),
      threads: [
        [call("mpmcPushTwo", 1), call("mpmcShiftTwo")],
        [call("mpmcPush", 7), call("mpmcShift")],
      ],
      check: ({ results, call: after }) => {
        const [mine = [], theirs = []] = results.map((list) => list.map(Number));
        const pushed = [1, 2].slice(0, mine[0]).concat(theirs[0] === 0 ? [7] : []);
        const two = mine[1] ?? -1;
        const taken = [...(two < 100 ? [two] : [Math.floor(two / 100), two % 100]), theirs[1] ?? -1].filter(
          (value) => value > 0,
        );
        const all = [...taken, ...drained(after, "mpmcShift")].sort((a, b) => a - b).join();
        return all === pushed.join() ? undefined : `pushed ${pushed.join()}, there are ${all}`;
      },
    },
  },
  {
    name: "three push into a queue of two, one of them takes",
    structure: "mpmc-queue",
    search: {
      setup: (make) => make("mpmcInit", AT, 2, 4),
      threads: [[call("mpmcPush", 1), call("mpmcShift")], [call("mpmcPush", 2)], [call("mpmcPush", 3)]],
      check: (outcome) => {
        const pushed = [1, 2, 3].filter((_, index) => Number(outcome.results[index]?.[0]) === 0);
        return conserved(outcome, pushed, drained(outcome.call, "mpmcShift"));
      },
    },
  },
  {
    name: "blocks popped and pushed by two threads: the second pops two and pushes the first again (ABA)",
    structure: "stack",
    search: {
      setup: (make) => make("stackInit", AT, 3, 1),
      threads: [
        [call("stackPop"), call("stackPop")],
        (results) =>
          [call("stackPop"), call("stackPop"), call("stackPush", Number(results[0])), call("stackPop")][
            results.length
          ],
      ],
      check: ({ results, call: after }) => {
        const [mine = [], theirs = []] = results.map((list) => list.map(Number));
        // The second thread gave its first block back.
        const held = [...mine, ...theirs.slice(1, 2), ...theirs.slice(3)].filter((block) => block >= 0);
        const all = [...held, ...drained(after, "stackPop")];
        return new Set(all).size === all.length && all.length === 3
          ? undefined
          : `blocks ${all.join()} of 0,1,2`;
      },
    },
  },
  {
    name: "a stack of numbers is one",
    structure: "stack",
    search: {
      setup: (make) => make("stackInit", AT, 4, 0),
      threads: [
        [call("stackPush", 1), call("stackPop")],
        [call("stackPush", 2), call("stackPop")],
      ],
      history: true,
      check: sequence("lifo", 4, { push: "stackPush", take: "stackPop" }),
    },
  },
  {
    name: "a pool of two: nobody has a block twice, none is lost",
    structure: "block-pool",
    search: {
      setup: (make) => make("poolInit", AT, 2, 8),
      threads: [1, 2].map(
        (owner): Program =>
          (results) =>
            [
              call("poolAllocate", owner),
              Number(results[0]) < 0 ? call("poolAllocate", owner) : call("poolFree", Number(results[0])),
              call("poolAllocate", owner),
            ][results.length],
      ),
      check: ({ results, call: after }) => {
        for (const owner of [1, 2]) after("poolReclaim", AT, owner);
        const blocks = [after("poolAllocate", AT, 3), after("poolAllocate", AT, 3)].map(Number).sort();
        const last = results.map((list) => Number(list.at(-1))).filter((block) => block >= 0);
        if (new Set(last).size !== last.length) return `both have block ${last[0]}`;
        return blocks.join() === "0,1" ? undefined : `left are ${blocks.join()}`;
      },
    },
  },
  {
    name: "a value written twice is read whole, and never older than before",
    structure: "seqlock",
    search: {
      setup: (make) => make("seqlockInit", AT, 2),
      threads: [
        [1, 2, 3].map((value) => call("latestWrite", OWN[0], value)),
        [0, 1].map(() => call("latestRead", OWN[1])),
      ],
      check: wholeValues,
    },
    whenParked: wholeValues,
  },
  {
    name: "an owner takes while a thief steals",
    structure: "deque",
    search: {
      setup: (make) => make("dequeInit", AT, 4),
      threads: [
        [call("dequePush", 1), call("dequePush", 2), call("dequeTake"), call("dequeTake")],
        [call("dequeSteal"), call("dequeSteal")],
      ],
      history: true,
      check: dequeHistory,
    },
    whenParked: (outcome) => {
      const wrong = dequeHistory(outcome);
      // An heir of the owner's end finds a deque that works.
      outcome.call("dequeRecover", AT);
      for (let left = 0; Number(outcome.call("dequeTake", AT)) >= 0; left += 1)
        if (left > 4) return "it never empties";
      const isPushed = Number(outcome.call("dequePush", AT, 9)) === 0;
      return (
        wrong ??
        (isPushed && Number(outcome.call("dequeTake", AT)) === 9 ? undefined : "an heir cannot use it")
      );
    },
  },
  {
    name: "two thieves and the owner at the last two, in a deque of two that goes round",
    structure: "deque",
    search: {
      setup: (make) => {
        make("dequeInit", AT, 2);
        make("dequePush", AT, 1);
        make("dequePush", AT, 2);
      },
      threads: [[call("dequeTake"), call("dequePush", 3)], [call("dequeSteal")], [call("dequeSteal")]],
      check: (outcome) => {
        const pushed = [1, 2, ...(Number(outcome.results[0]?.[1]) === 0 ? [3] : [])];
        const own = outcome.results.map((list, thread) => (thread === 0 ? list.slice(0, 1) : list));
        return conserved({ ...outcome, results: own }, pushed, drained(outcome.call, "dequeTake"));
      },
    },
  },
  {
    name: "a key set, added, swapped and deleted by two threads",
    structure: "hash-map",
    search: {
      setup: (make) => make("mapInit", AT, 2, 2),
      threads: [
        [call("mapAddKey", 1, 10), call("mapDeleteKey", 1)],
        [call("mapAddKey", 1, 20), call("mapSwapKey", 1, 20, 30), call("mapGetKey", 1)],
      ],
      history: true,
      check: maps,
    },
  },
  {
    name: "keys set while the map grows",
    structure: "hash-map",
    search: {
      setup: (make) => {
        make("mapInit", AT, 2, 3);
        for (const key of [1, 2, 3]) make("mapSetKey", AT, key, key * 10);
      },
      threads: [[call("mapSetKey", 4, 40)], [call("mapSetKey", 1, 11), call("mapGetKey", 2)]],
      history: true,
      check: (outcome) => {
        const wrong = maps({ calls: [...seeds([1, 2, 3]), ...outcome.calls] });
        const values = keysAfter(outcome);
        return wrong ?? (values === "11,20,30,40" ? undefined : `the map has ${values}`);
      },
    },
    whenParked: (outcome) => {
      const wrong = maps({ calls: [...seeds([1, 2, 3]), ...outcome.calls] });
      const values = keysAfter(outcome);
      return wrong ?? (/^(10|11),20,30,(40|none)$/.test(values) ? undefined : `the map has ${values}`);
    },
  },
];

function keysAfter({ call: after }: Outcome): string {
  return [1, 2, 3, 4]
    .map((key) => Number(after("mapGetKey", AT, key)))
    .map((value) => (value < 0 ? "none" : value))
    .join();
}

/** Calls that the setup made, for the model. */
function seeds(keys: readonly number[]): readonly Call[] {
  return keys.map((key, index) => ({
    thread: -1,
    step: call("mapSetKey", key, key * 10),
    result: 0,
    calledAt: -10 + index,
    returnedAt: -9.5 + index,
  }));
}
