/** The linearizability checker: verdicts that are known, and a search that tries everything beside it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkLinearizability,
  describeVerdict,
  type Operation,
} from "../../../../host/world/linearizability/checker.ts";
import {
  type MapInput,
  type MapOutput,
  mapModel,
  type QueueInput,
  type QueueOutput,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  sequenceModel,
} from "../../../../host/world/linearizability/models.ts";
import { sharedFolder } from "../../../support/shared-data.ts";

type History = Operation<RegisterInput, RegisterOutput>[];
const write = (value: number): RegisterInput => ({ kind: "write", value });
const read: RegisterInput = { kind: "read" };
const op = (
  input: RegisterInput,
  output: RegisterOutput | undefined,
  calledAt: number,
  returnedAt: number,
): Operation<RegisterInput, RegisterOutput> => ({ input, output, calledAt, returnedAt });

describe("known verdicts", () => {
  const data = sharedFolder("jepsen-etcd");

  /** Lines of Jepsen's log: process, what, function, value. What timed out never returned. */
  function parse(log: string): History {
    const open = new Map<string, { input: RegisterInput; calledAt: number }>();
    const history: History = [];
    log.split("\n").forEach((line, at) => {
      const match = /jepsen\.util - (\d+)\s+:(\w+)\s+:(\w+)\s+(.*)$/.exec(line.trim());
      if (match === null) return;
      const [, process, what, name, value] = match as unknown as [string, string, string, string, string];
      if (what === "invoke") {
        const [from = 0, to = 0] = (/\[(\d+) (\d+)\]/.exec(value) ?? []).slice(1).map(Number);
        const input: RegisterInput =
          name === "read"
            ? read
            : name === "write"
              ? write(Number(value))
              : { kind: "compare-and-set", from, to };
        open.set(process, { input, calledAt: at });
        return;
      }
      const call = open.get(process);
      if (call === undefined) throw new Error(`${line}: was never called`);
      open.delete(process);
      const answer = name === "read" ? (value === "nil" ? null : Number(value)) : what === "ok";
      history.push(
        what === "info"
          ? { ...call, output: undefined, returnedAt: Number.POSITIVE_INFINITY }
          : { ...call, output: answer, returnedAt: at },
      );
    });
    for (const call of open.values())
      history.push({ ...call, output: undefined, returnedAt: Number.POSITIVE_INFINITY });
    return history;
  }

  test.skipIf(!data.isThere)(`all 50 of Jepsen's etcd register${data.note}`, () => {
    const verdicts = JSON.parse(data.read("verdicts.json")) as Record<string, boolean>;
    expect(Object.keys(verdicts)).toHaveLength(50);
    const found = Object.fromEntries(
      Object.keys(verdicts).map((name) => [
        name,
        checkLinearizability(parse(data.read(name)), registerModel).verdict === "linearizable",
      ]),
    );
    expect(found).toEqual(verdicts);
  });

  test("a read that sees a write before it returned, and one that does not any more", () => {
    expect(checkLinearizability([op(write(1), true, 0, 10), op(read, 1, 2, 3)], registerModel).verdict).toBe(
      "linearizable",
    );
    const stale = [op(write(1), true, 0, 10), op(read, 1, 2, 3), op(read, null, 4, 5)];
    const verdict = checkLinearizability(stale, registerModel);
    expect(describeVerdict(verdict, registerModel)).toBe(
      [
        "not linearizable: after",
        "  write 1 [0, 10]",
        "  read -> 1 [2, 3]",
        "none of these could come next:",
        "  read -> null [4, 5]",
      ].join("\n"),
    );
  });

  test("who returned before another was called comes first; at the same time they are concurrent, and a moment is long enough for an operation", () => {
    expect(
      checkLinearizability([op(write(1), true, 0, 1), op(read, null, 2, 3)], registerModel).verdict,
    ).toBe("violation");
    expect(
      checkLinearizability([op(write(1), true, 0, 1), op(read, null, 1, 2)], registerModel).verdict,
    ).toBe("linearizable");
  });

  test("an end that is not known may also come later", () => {
    const history = [
      op(write(1), true, 0, 1),
      op(write(2), undefined, 2, 3),
      op(read, 1, 4, 5),
      op(write(3), true, 5, 5),
    ];
    expect(checkLinearizability(history, registerModel).verdict).toBe("linearizable");
  });

  test("what never returned may have been done, at any time after its call, or not", () => {
    const lost = op(write(1), undefined, 0, Number.POSITIVE_INFINITY);
    expect(checkLinearizability([lost, op(read, null, 5, 6)], registerModel).verdict).toBe("linearizable");
    expect(checkLinearizability([lost, op(read, null, 5, 6), op(read, 1, 7, 8)], registerModel).verdict).toBe(
      "linearizable",
    );
    const later = [op(read, 1, 5, 6), op(write(1), undefined, 7, Number.POSITIVE_INFINITY)];
    expect(checkLinearizability(later, registerModel).verdict).toBe("violation");
  });

  test("a search that is too long is unknown, not right", () => {
    const many = Array.from({ length: 12 }, (_, value) => op(write(value), true, 0, 100));
    const history = [...many, op(read, 99, 0, 100)];
    const { verdict, steps } = checkLinearizability(history, registerModel, { stepsMax: 500 });
    expect([verdict, steps]).toEqual(["unknown", 500]);
    expect(checkLinearizability(history, registerModel).verdict).toBe("violation");
  });
});

/** Tries every order that real time allows. */
function slowly<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  step: (state: State, input: Input, output: Output | undefined) => State | undefined,
  state: State,
): boolean {
  if (history.length === 0) return true;
  return history.some((first, index) => {
    if (history.some(({ returnedAt }) => returnedAt < first.calledAt)) return false;
    const next = step(state, first.input, first.output);
    return next !== undefined && slowly(history.toSpliced(index, 1), step, next);
  });
}

/** Seven operations whose times overlap at random. */
function histories<Input, Output>(inputs: fc.Arbitrary<Input>, outputs: fc.Arbitrary<Output | undefined>) {
  const one = fc.record({
    input: inputs,
    output: outputs,
    calledAt: fc.nat(20),
    takes: fc.integer({ min: 1, max: 8 }),
  });
  return fc.array(one, { maxLength: 7 }).map((list) =>
    list.map(({ input, output, calledAt, takes }) => ({
      input,
      output,
      calledAt,
      returnedAt: output === undefined ? Number.POSITIVE_INFINITY : calledAt + takes,
    })),
  );
}

describe("beside a search that tries every order", () => {
  const small = fc.nat(2);
  test("registers", () => {
    const inputs = fc.oneof(
      fc.constant(read),
      small.map(write),
      fc.record({ kind: fc.constant("compare-and-set" as const), from: small, to: small }),
    );
    const outputs = fc.oneof(small, fc.boolean(), fc.constantFrom(null, undefined));
    let both = 0;
    fc.assert(
      fc.property(histories<RegisterInput, RegisterOutput>(inputs, outputs), (history) => {
        const { verdict } = checkLinearizability(history, registerModel);
        const isFine = slowly(history, registerModel.step, registerModel.initial);
        both |= isFine ? 1 : 2;
        expect(verdict).toBe(isFine ? "linearizable" : "violation");
      }),
      { numRuns: 2000 },
    );
    expect(both).toBe(3);
  });
  test("queues, stacks and deques", () => {
    const inputs = fc.oneof(
      small.map((value) => ({ kind: "push" as const, value })),
      fc.constantFrom({ kind: "take" as const }, { kind: "steal" as const }),
    );
    const outputs = fc.oneof(
      { weight: 3, arbitrary: fc.constant(true) },
      small,
      fc.constantFrom(null, undefined, false),
    );
    for (const order of ["fifo", "lifo"] as const) {
      const model = sequenceModel(order, 2);
      fc.assert(
        fc.property(histories<QueueInput, QueueOutput>(inputs, outputs), (history) => {
          const isFine = slowly(history, model.step, model.initial);
          expect(checkLinearizability(history, model).verdict).toBe(isFine ? "linearizable" : "violation");
        }),
        { numRuns: 1000 },
      );
    }
  });
  test("maps, key by key", () => {
    const key = fc.nat(1);
    const inputs = fc.oneof(
      fc.record({ kind: fc.constantFrom("get" as const, "delete" as const), key }),
      fc.record({ kind: fc.constantFrom("set" as const, "add" as const), key, value: small }),
      fc.record({ kind: fc.constant("compare-and-set" as const), key, from: small, to: small }),
    );
    const outputs = fc.oneof(small, fc.boolean(), fc.constantFrom(null, undefined));
    fc.assert(
      fc.property(histories<MapInput, MapOutput>(inputs, outputs), (history) => {
        const isFine = [0, 1].every((one) =>
          slowly(
            history.filter(({ input }) => input.key === one),
            mapModel.step,
            mapModel.initial,
          ),
        );
        expect(checkLinearizability(history, mapModel).verdict).toBe(isFine ? "linearizable" : "violation");
      }),
      { numRuns: 1000 },
    );
  });
});
