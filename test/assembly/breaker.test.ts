import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { BreakerModel, type ModelOptions, type ModelPermit } from "../support/breaker-model.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const OPEN = -ERRORS.BREAKER_OPEN.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const OUTCOMES = ["success", "failure", "cancelled"] as const;
const STATES = ["closed", "open", "half-open"] as const;
const [SUCCESS, FAILURE, CANCELLED] = [0, 1, 2];

const base: ModelOptions = {
  openMs: 100,
  probeMs: 500,
  consecutive: 3,
  calls: 0,
  rateMilli: 0,
  callsMin: 0,
  permits: 1,
  successesMin: 1,
};
const create = (options: Partial<ModelOptions> = {}): number => {
  const all = { ...base, ...options };
  return raw.breakerCreate(
    all.openMs,
    all.probeMs,
    all.consecutive,
    all.calls,
    all.rateMilli,
    all.callsMin,
    all.permits,
    all.successesMin,
  );
};
const word = (handle: number, offset: number): number =>
  new DataView(core.bytes().buffer).getUint32(raw.breakerAt(handle) + offset, true);
/** Offsets of the struct drawn in assembly/resilience/breaker.ts. */
const inFlight = (handle: number): number => word(handle, 80) - word(handle, 84);
const probesOut = (handle: number): number => word(handle, 60);
const call = (handle: number, outcome: number, nowMs: number): number =>
  raw.breakerReturn(handle, raw.breakerAcquire(handle, nowMs), outcome, nowMs);

describe("a breaker", () => {
  test("opens after failures in a row, and only in a row", () => {
    const handle = create();
    for (const outcome of [FAILURE, FAILURE, SUCCESS, FAILURE, FAILURE])
      expect(call(handle, outcome, 0)).toBe(0);
    expect(call(handle, FAILURE, 0)).toBe(1);
    expect(raw.breakerAcquire(handle, 99.999)).toBe(OPEN);
    expect(raw.breakerState(handle, 99.999)).toBe(1);
    expect(raw.breakerWaitMs(handle, 40)).toBe(60);
  });

  test("opens at a failure rate, not before the least number of calls", () => {
    const handle = create({ consecutive: 0, calls: 10, rateMilli: 500, callsMin: 4 });
    for (const outcome of [FAILURE, FAILURE, SUCCESS]) expect(call(handle, outcome, 0)).toBe(0);
    expect(call(handle, FAILURE, 0)).toBe(1);
  });

  test("forgets what has left the window", () => {
    const handle = create({ consecutive: 0, calls: 4, rateMilli: 500, callsMin: 4 });
    for (const outcome of [FAILURE, SUCCESS, SUCCESS, SUCCESS, SUCCESS])
      expect(call(handle, outcome, 0)).toBe(0);
    expect(call(handle, FAILURE, 0)).toBe(0); // 1 of 4: the first failure is gone.
    expect(call(handle, FAILURE, 0)).toBe(1);
  });

  test("lets probes through when its time is over, and closes on their success", () => {
    const handle = create({ permits: 2, successesMin: 2 });
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    expect(raw.breakerState(handle, 100)).toBe(2);
    const first = raw.breakerAcquire(handle, 100);
    const second = raw.breakerAcquire(handle, 100);
    expect(raw.breakerAcquire(handle, 100)).toBe(OPEN);
    expect(raw.breakerReturn(handle, first, SUCCESS, 110)).toBe(2);
    expect(raw.breakerReturn(handle, second, SUCCESS, 110)).toBe(0);
  });

  test("opens again when a probe fails", () => {
    const handle = create();
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    expect(call(handle, FAILURE, 100)).toBe(1);
    expect(raw.breakerAcquire(handle, 199)).toBe(OPEN);
    expect(raw.breakerAcquire(handle, 200)).toBeGreaterThan(0);
  });

  test("gives a cancelled probe's permit to another", () => {
    const handle = create();
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    expect(call(handle, CANCELLED, 100)).toBe(2);
    expect(call(handle, SUCCESS, 100)).toBe(0);
  });

  test("declares probes lost that never come back", () => {
    const handle = create();
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    const lost = raw.breakerAcquire(handle, 100);
    expect(raw.breakerAcquire(handle, 599)).toBe(OPEN);
    const next = raw.breakerAcquire(handle, 600);
    expect(next).toBeGreaterThan(0);
    expect(raw.breakerReturn(handle, lost, FAILURE, 601)).toBe(2); // Too late to decide anything.
    expect(raw.breakerReturn(handle, next, SUCCESS, 602)).toBe(0);
  });

  test("ignores what an earlier period's calls report", () => {
    const handle = create({ consecutive: 1 });
    const slow = raw.breakerAcquire(handle, 0);
    call(handle, FAILURE, 0);
    call(handle, SUCCESS, 100);
    expect(raw.breakerReturn(handle, slow, FAILURE, 101)).toBe(0);
    expect(raw.breakerState(handle, 101)).toBe(0);
  });

  test("refuses a permit given back twice, an unknown outcome and a handle that is gone", () => {
    const handle = create();
    const permit = raw.breakerAcquire(handle, 0);
    expect(raw.breakerReturn(handle, permit, 3, 0)).toBe(ARGUMENT);
    expect(raw.breakerReturn(handle, permit, SUCCESS, 0)).toBe(0);
    expect(raw.breakerReturn(handle, permit, SUCCESS, 0)).toBe(ARGUMENT);
    const late = raw.breakerAcquire(handle, 0);
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    const probe = raw.breakerAcquire(handle, 100);
    expect(raw.breakerReturn(handle, probe, CANCELLED, 100)).toBe(2);
    expect(raw.breakerReturn(handle, probe, SUCCESS, 100)).toBe(ARGUMENT); // `late` is still out.
    expect(raw.breakerReturn(handle, late, SUCCESS, 100)).toBe(2);
    expect(raw.breakerFree(handle)).toBe(0);
    expect(raw.breakerFree(handle)).toBe(ARGUMENT);
    expect(raw.breakerAcquire(handle, 0)).toBe(ARGUMENT);
    expect(raw.breakerReturn(handle, 1, SUCCESS, 0)).toBe(ARGUMENT);
    expect(raw.breakerState(handle, 0)).toBe(ARGUMENT);
    expect(raw.breakerWaitMs(handle, 0)).toBe(ARGUMENT);
  });

  test.each<Partial<ModelOptions>>([
    { consecutive: 0 },
    { permits: 0 },
    { successesMin: 0 },
    { calls: 257, rateMilli: 500, callsMin: 1 },
    { calls: 10, rateMilli: 0, callsMin: 1 },
    { calls: 10, rateMilli: 1001, callsMin: 1 },
    { calls: 10, rateMilli: 500, callsMin: 0 },
    { calls: 10, rateMilli: 500, callsMin: 11 },
  ])("refuses %o", (options) => {
    expect(create(options)).toBe(ARGUMENT);
  });

  test("refuses what is no time, and opens for ever when told so", () => {
    const handle = create({ openMs: Number.POSITIVE_INFINITY });
    const permit = raw.breakerAcquire(handle, 0);
    for (const nowMs of [Number.NaN, -5, Number.POSITIVE_INFINITY, 1e13]) {
      expect(raw.breakerAcquire(handle, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerReturn(handle, permit, FAILURE, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerState(handle, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerWaitMs(handle, nowMs)).toBe(ARGUMENT);
    }
    expect(inFlight(handle)).toBe(1);
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    expect(raw.breakerAcquire(handle, 1e12)).toBe(OPEN);
    expect(create({ openMs: Number.NaN })).toBe(ARGUMENT);
    expect(create({ probeMs: -1 })).toBe(ARGUMENT);
  });
});

const options: fc.Arbitrary<ModelOptions> = fc
  .record({
    openMs: fc.integer({ min: 0, max: 50 }),
    probeMs: fc.integer({ min: 1, max: 100 }),
    consecutive: fc.nat(4),
    window: fc.option(
      fc.record({
        calls: fc.constantFrom(1, 2, 5, 31, 32, 33, 256),
        rateMilli: fc.integer({ min: 1, max: 1000 }),
      }),
    ),
    share: fc.integer({ min: 1, max: 100 }),
    permits: fc.integer({ min: 1, max: 4 }),
    successesMin: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ window, share, ...rest }) => ({
    ...rest,
    consecutive: window === null ? rest.consecutive + 1 : rest.consecutive,
    calls: window?.calls ?? 0,
    rateMilli: window?.rateMilli ?? 0,
    callsMin: Math.ceil(((window?.calls ?? 0) * share) / 100),
  }));
type Step = { readonly do: "acquire" | "wait" | "give"; readonly number: number; readonly outcome: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.constantFrom<Step["do"][]>("acquire", "acquire", "wait", "give", "give"),
    number: fc.nat(60),
    outcome: fc.constantFrom(SUCCESS, SUCCESS, FAILURE, FAILURE, FAILURE, CANCELLED),
  }),
  { maxLength: 200, size: "max" },
);

describe("beside the model", () => {
  test("any history decides the same; granted = returned + in flight; probes within their number; never stuck", () => {
    let visited = new Set<string>();
    fc.assert(
      fc.property(options, steps, (chosen, history) => {
        const handle = create(chosen);
        const model = new BreakerModel(chosen);
        const out: { permit: number; model: ModelPermit }[] = [];
        let nowMs = 0;
        const give = (index: number, outcome: number): void => {
          const [taken] = out.splice(index, 1);
          if (taken === undefined) return;
          raw.breakerReturn(handle, taken.permit, outcome, nowMs);
          model.give(taken.model, OUTCOMES[outcome] ?? "cancelled", nowMs);
        };
        for (const step of history) {
          if (step.do === "wait") nowMs += step.number;
          else if (step.do === "give") give(out.length === 0 ? 0 : step.number % out.length, step.outcome);
          else {
            const permit = raw.breakerAcquire(handle, nowMs);
            const expected = model.acquire(nowMs);
            expect(permit > 0).toBe(expected !== undefined);
            if (expected !== undefined) out.push({ permit, model: expected });
          }
          expect(STATES[word(handle, 0)]).toBe(model.state);
          expect(inFlight(handle)).toBe(out.length);
          if (model.state === "half-open") {
            expect(probesOut(handle)).toBe(model.probesOut());
            expect(probesOut(handle)).toBeLessThanOrEqual(chosen.permits);
          }
          visited = visited.add(model.state);
        }
        // Whatever happened, and even if nothing comes back: with time it lets a call through, and successes close it.
        nowMs += chosen.openMs + chosen.probeMs;
        for (let index = 0; index < chosen.successesMin; index += 1) {
          const permit = raw.breakerAcquire(handle, nowMs);
          expect(permit).toBeGreaterThan(0);
          raw.breakerReturn(handle, permit, SUCCESS, nowMs);
        }
        expect(raw.breakerState(handle, nowMs)).toBe(0);
        raw.breakerFree(handle);
      }),
      { numRuns: 2_000 },
    );
    expect(visited.size).toBe(3);
  });

  test("a batch decides as its calls would one by one", () => {
    const handles = [create(), create(), create({ consecutive: 1 }), 0];
    call(handles[2] ?? 0, FAILURE, 0);
    const at = core.allocate(64);
    const words = new Uint32Array(core.bytes().buffer, at, 8);
    words.set(handles);
    const permits = new Int32Array(core.bytes().buffer, at + 16, 4);
    expect(raw.breakerAcquireBatch(at, 4, at + 16, 10)).toBe(2);
    expect([...permits].map((permit) => Math.sign(permit))).toEqual([1, 1, -1, -1]);
    expect([permits[2], permits[3]]).toEqual([OPEN, ARGUMENT]);
    core.bytes().set([SUCCESS ?? 0, FAILURE ?? 1, 0, 0], at + 32);
    expect(raw.breakerReturnBatch(at, at + 16, at + 32, 4, 10)).toBe(2);
    expect(handles.slice(0, 2).map(inFlight)).toEqual([0, 0]);
  });
});

describe("handles", () => {
  test("of more breakers than the pool began with are distinct, and stay right as it grows", () => {
    const handles = Array.from({ length: 300 }, (_, index) =>
      create({ openMs: 1000 + index, consecutive: 1 }),
    );
    expect(new Set(handles).size).toBe(300);
    for (const handle of handles) call(handle, FAILURE, 0);
    handles.forEach((handle, index) => {
      expect(raw.breakerWaitMs(handle, 0)).toBe(1000 + index);
    });
    for (const handle of handles) expect(raw.breakerFree(handle)).toBe(0);
  });

  test("do not name their successor in the same place", () => {
    const first = create();
    raw.breakerFree(first);
    const second = create();
    expect(second & 0xfffff).toBe(first & 0xfffff);
    expect(second).not.toBe(first);
    expect(raw.breakerAcquire(first, 0)).toBe(ARGUMENT);
    expect(raw.breakerAcquire(0xffff_ffff, 0)).toBe(ARGUMENT);
  });
});
