import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import {
  BreakerModel,
  type ModelOptions,
  type ModelPermit,
  MODEL_STATES as STATES,
} from "../support/breaker-model.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const OPEN = -ERRORS.BREAKER_OPEN.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const OUTCOMES = ["success", "failure", "cancelled", "ignored", "timeout"] as const;
const [SUCCESS, FAILURE, CANCELLED, IGNORED, TIMEOUT] = [0, 1, 2, 3, 4];
const [CLOSED, OPENED, HALF_OPEN, FORCED_OPEN, DISABLED] = [0, 1, 2, 3, 4];

const base: ModelOptions = {
  openMs: 100,
  halfOpenMs: 500,
  consecutive: 3,
  windowCalls: 0,
  windowMs: 0,
  failureMilli: 0,
  slowMilli: 0,
  slowMs: 0,
  callsMin: 0,
  permits: 1,
  successesMin: 1,
};
const create = (options: Partial<ModelOptions> = {}): number => {
  const all = { ...base, ...options };
  return raw.breakerCreate(
    all.openMs,
    all.halfOpenMs,
    all.consecutive,
    all.windowCalls,
    all.windowMs,
    all.failureMilli,
    all.slowMilli,
    all.slowMs,
    all.callsMin,
    all.permits,
    all.successesMin,
    0,
  );
};
const word = (handle: number, offset: number): number =>
  new DataView(core.bytes().buffer).getUint32(raw.breakerAt(handle) + offset, true);
/** Offsets of the struct drawn in assembly/resilience/breaker.ts. */
const inFlight = (handle: number): number => word(handle, 48) - word(handle, 52);
const probesOut = (handle: number): number => word(handle, 32) & 0xffff;
const stateOf = (handle: number): number => word(handle, 24) & 0xff;
const give = (handle: number, permit: number, outcome: number, nowMs: number, tookMs = 0): number =>
  raw.breakerReturn(handle, permit, outcome, tookMs, nowMs);
const call = (handle: number, outcome: number, nowMs: number, tookMs = 0): number =>
  give(handle, raw.breakerAcquire(handle, nowMs), outcome, nowMs, tookMs);

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
    const handle = create({ consecutive: 0, windowCalls: 10, failureMilli: 500, callsMin: 4 });
    for (const outcome of [FAILURE, FAILURE, SUCCESS]) expect(call(handle, outcome, 0)).toBe(0);
    expect(call(handle, FAILURE, 0)).toBe(1);
  });

  test("forgets what has left the window", () => {
    const handle = create({ consecutive: 0, windowCalls: 4, failureMilli: 500, callsMin: 4 });
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
    expect(give(handle, first, SUCCESS, 110)).toBe(2);
    expect(give(handle, second, SUCCESS, 110)).toBe(0);
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

  test("opens again when half-open has lasted its time, and a late probe decides nothing", () => {
    const handle = create();
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    const lost = raw.breakerAcquire(handle, 100);
    expect(raw.breakerAcquire(handle, 599)).toBe(OPEN);
    expect(raw.breakerState(handle, 600)).toBe(OPENED);
    expect(raw.breakerWaitMs(handle, 650)).toBe(50);
    expect(raw.breakerAcquire(handle, 699)).toBe(OPEN); // Open since 600.
    const next = raw.breakerAcquire(handle, 700);
    expect(next).toBeGreaterThan(0);
    expect(give(handle, lost, SUCCESS, 701)).toBe(HALF_OPEN);
    expect(give(handle, next, SUCCESS, 702)).toBe(CLOSED);
    expect(inFlight(handle)).toBe(0);
  });

  test("a probe that answers after the time of half-open does not close", () => {
    const handle = create();
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    const late = raw.breakerAcquire(handle, 100);
    expect(give(handle, late, SUCCESS, 600)).toBe(OPENED);
    expect(raw.breakerState(handle, 700)).toBe(HALF_OPEN);
  });

  test("opens when too many calls are slow, failed or not, and a slow probe opens again", () => {
    const handle = create({ consecutive: 0, windowCalls: 4, slowMilli: 500, slowMs: 20, callsMin: 2 });
    expect(call(handle, FAILURE, 0, 19.999)).toBe(CLOSED);
    expect(call(handle, SUCCESS, 0, 20)).toBe(OPENED);
    expect(call(handle, SUCCESS, 100, 20)).toBe(OPENED);
    expect(call(handle, SUCCESS, 200, 5)).toBe(CLOSED);
  });

  test("a window by time forgets slot by slot", () => {
    const handle = create({ consecutive: 0, windowMs: 100, failureMilli: 500, callsMin: 4 });
    for (const nowMs of [0, 5, 55]) expect(call(handle, FAILURE, nowMs)).toBe(CLOSED);
    expect(call(handle, FAILURE, 105)).toBe(CLOSED); // The two of the first slot are gone: 2 calls.
    expect(call(handle, FAILURE, 106)).toBe(CLOSED);
    expect(call(handle, FAILURE, 107)).toBe(OPENED);
  });

  test("neither cancelled nor ignored calls count; a timeout is a failure", () => {
    const handle = create({ consecutive: 2 });
    for (const outcome of [FAILURE, CANCELLED, IGNORED]) expect(call(handle, outcome, 0)).toBe(CLOSED);
    expect(call(handle, TIMEOUT, 0)).toBe(OPENED);
    expect(call(handle, IGNORED, 100)).toBe(HALF_OPEN);
    expect(call(handle, TIMEOUT, 100)).toBe(OPENED);
  });

  test("by hand: forced open refuses for ever, disabled passes and counts, closed begins anew", () => {
    const handle = create({ consecutive: 2, windowCalls: 4, failureMilli: 1000, callsMin: 4 });
    call(handle, FAILURE, 0);
    const before = raw.breakerAcquire(handle, 0);
    expect(raw.breakerForce(handle, FORCED_OPEN, 0)).toBe(0);
    expect(raw.breakerAcquire(handle, 1e9)).toBe(OPEN);
    expect(raw.breakerState(handle, 1e9)).toBe(FORCED_OPEN);
    expect(raw.breakerWaitMs(handle, 0)).toBe(Number.POSITIVE_INFINITY);
    expect(give(handle, before, FAILURE, 0)).toBe(FORCED_OPEN);
    expect(raw.breakerForce(handle, DISABLED, 0)).toBe(0);
    for (let index = 0; index < 9; index += 1) expect(call(handle, FAILURE, 0)).toBe(DISABLED);
    expect(word(handle, 64 + 8)).toBe(4); // Failures in the window.
    expect(raw.breakerForce(handle, CLOSED, 0)).toBe(0);
    expect(word(handle, 64 + 8)).toBe(0);
    expect(call(handle, FAILURE, 0)).toBe(CLOSED); // What was before counts no more.
    expect(raw.breakerForce(handle, OPENED, 50)).toBe(0);
    expect(raw.breakerAcquire(handle, 149)).toBe(OPEN);
    expect(call(handle, SUCCESS, 150)).toBe(CLOSED);
    for (const state of [HALF_OPEN, 5, -1]) expect(raw.breakerForce(handle, state, 0)).toBe(ARGUMENT);
    expect(raw.breakerForce(handle, CLOSED, Number.NaN)).toBe(ARGUMENT);
    expect(inFlight(handle)).toBe(0);
  });

  test("time that goes back shortens nothing", () => {
    const handle = create({ consecutive: 1 });
    call(handle, FAILURE, 1000);
    expect(raw.breakerAcquire(handle, 0)).toBe(OPEN);
    expect(raw.breakerWaitMs(handle, 0)).toBe(1100);
    expect(call(handle, SUCCESS, 1100)).toBe(CLOSED);
    const byTime = create({ consecutive: 0, windowMs: 100, failureMilli: 500, callsMin: 2 });
    call(byTime, FAILURE, 1000);
    expect(call(byTime, FAILURE, 10)).toBe(OPENED);
  });

  test("ignores what an earlier period's calls report", () => {
    const handle = create({ consecutive: 1 });
    const slow = raw.breakerAcquire(handle, 0);
    call(handle, FAILURE, 0);
    call(handle, SUCCESS, 100);
    expect(give(handle, slow, FAILURE, 101)).toBe(0);
    expect(raw.breakerState(handle, 101)).toBe(0);
  });

  test("refuses a permit given back twice, an unknown outcome and a handle that is gone", () => {
    const handle = create();
    const permit = raw.breakerAcquire(handle, 0);
    expect(give(handle, permit, 5, 0)).toBe(ARGUMENT);
    expect(give(handle, 0, SUCCESS, 0)).toBe(ARGUMENT);
    expect(give(handle, permit, SUCCESS, 0, Number.NaN)).toBe(ARGUMENT);
    expect(give(handle, permit, SUCCESS, 0)).toBe(0);
    expect(give(handle, permit, SUCCESS, 0)).toBe(ARGUMENT);
    const late = raw.breakerAcquire(handle, 0);
    for (let index = 0; index < 3; index += 1) call(handle, FAILURE, 0);
    const probe = raw.breakerAcquire(handle, 100);
    expect(give(handle, probe, CANCELLED, 100)).toBe(2);
    expect(give(handle, probe, SUCCESS, 100)).toBe(ARGUMENT); // `late` is still out.
    expect(give(handle, late, SUCCESS, 100)).toBe(2);
    expect(raw.breakerFree(handle)).toBe(0);
    expect(raw.breakerFree(handle)).toBe(ARGUMENT);
    expect(raw.breakerAcquire(handle, 0)).toBe(ARGUMENT);
    expect(give(handle, 1, SUCCESS, 0)).toBe(ARGUMENT);
    expect(raw.breakerState(handle, 0)).toBe(ARGUMENT);
    expect(raw.breakerWaitMs(handle, 0)).toBe(ARGUMENT);
  });

  test.each<Partial<ModelOptions>>([
    { consecutive: 0 },
    { consecutive: 65_536 },
    { permits: 0 },
    { permits: 65_536 },
    { successesMin: 0 },
    { successesMin: 65_536 },
    { halfOpenMs: 0 },
    { windowCalls: 257, failureMilli: 500, callsMin: 1 },
    { windowCalls: 10, failureMilli: 0, callsMin: 1 },
    { windowCalls: 10, failureMilli: 1001, callsMin: 1 },
    { windowCalls: 10, slowMilli: 1001, slowMs: 1, callsMin: 1 },
    { windowCalls: 10, slowMilli: 500, callsMin: 1 },
    { windowCalls: 10, failureMilli: 500, callsMin: 0 },
    { windowCalls: 10, failureMilli: 500, callsMin: 11 },
    { windowMs: 0.009, failureMilli: 500, callsMin: 1 },
    { windowMs: Number.NaN, failureMilli: 500, callsMin: 1 },
    { windowCalls: 10, slowMilli: 500, slowMs: Number.NaN, callsMin: 1 },
  ])("refuses %o", (options) => {
    expect(create(options)).toBe(ARGUMENT);
  });

  test("refuses what is no time", () => {
    const handle = create();
    const permit = raw.breakerAcquire(handle, 0);
    for (const nowMs of [Number.NaN, -5, Number.POSITIVE_INFINITY, 1e13]) {
      expect(raw.breakerAcquire(handle, nowMs)).toBe(ARGUMENT);
      expect(give(handle, permit, FAILURE, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerState(handle, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerWaitMs(handle, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerAcquireBatch(0, 0, 0, nowMs)).toBe(ARGUMENT);
      expect(raw.breakerReturnBatch(0, 0, 0, 0, nowMs)).toBe(ARGUMENT);
    }
    expect(inFlight(handle)).toBe(1);
  });
});

const options: fc.Arbitrary<ModelOptions> = fc
  .record({
    openMs: fc.integer({ min: 0, max: 50 }),
    halfOpenMs: fc.integer({ min: 1, max: 100 }),
    consecutive: fc.nat(4),
    window: fc.option(
      fc.record({
        calls: fc.constantFrom(1, 2, 5, 31, 32, 33, 256),
        ms: fc.constantFrom(0, 0, 10, 50, 400),
        failureMilli: fc.nat(1000),
        slowMilli: fc.nat(1000),
      }),
    ),
    slowMs: fc.integer({ min: 1, max: 20 }),
    share: fc.integer({ min: 1, max: 100 }),
    permits: fc.integer({ min: 1, max: 4 }),
    successesMin: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ window, share, slowMs, ...rest }) => {
    const windowCalls = window === null || window.ms > 0 ? 0 : window.calls;
    return {
      ...rest,
      consecutive: window === null ? rest.consecutive + 1 : rest.consecutive,
      windowCalls,
      windowMs: window?.ms ?? 0,
      // One of the two rates at least.
      failureMilli: window === null ? 0 : Math.max(window.failureMilli, window.slowMilli === 0 ? 1 : 0),
      slowMilli: window?.slowMilli ?? 0,
      slowMs: window === null ? 0 : slowMs,
      callsMin: window === null ? 0 : Math.max(1, Math.ceil(((windowCalls || 8) * share) / 100)),
    };
  });
type Step = {
  readonly do: "acquire" | "wait" | "give" | "force";
  readonly number: number;
  readonly outcome: number;
};
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.oneof(
      { weight: 60, arbitrary: fc.constantFrom<Step["do"][]>("acquire", "acquire", "wait", "give", "give") },
      { weight: 1, arbitrary: fc.constant<Step["do"]>("force") },
    ),
    number: fc.nat(60),
    outcome: fc.constantFrom(SUCCESS, SUCCESS, FAILURE, FAILURE, TIMEOUT, CANCELLED, IGNORED),
  }),
  { maxLength: 200, size: "max" },
);

describe("beside the model", () => {
  test("any history decides the same; granted = returned + in flight; probes within their number; never stuck", () => {
    let visited = new Set<string>();
    fc.assert(
      fc.property(options, steps, (chosen, history) => {
        const handle = create(chosen);
        const model = new BreakerModel(chosen, 0);
        const out: { permit: number; model: ModelPermit }[] = [];
        let nowMs = 0;
        const giveBack = (index: number, outcome: number, tookMs: number): void => {
          const [taken] = out.splice(index, 1);
          if (taken === undefined) return;
          expect(give(handle, taken.permit, outcome, nowMs, tookMs)).toBeGreaterThanOrEqual(0);
          model.give(taken.model, OUTCOMES[outcome] ?? "cancelled", tookMs, nowMs);
        };
        const force = (number: number): void => {
          const state = [CLOSED, OPENED, FORCED_OPEN, DISABLED][number % 4] ?? 0;
          raw.breakerForce(handle, state, nowMs);
          model.force(STATES[state] as "closed", nowMs);
        };
        for (const step of history) {
          if (step.do === "wait") nowMs += step.number;
          else if (step.do === "force") force(step.number);
          else if (step.do === "give")
            giveBack(out.length === 0 ? 0 : step.number % out.length, step.outcome, step.number % 25);
          else {
            const permit = raw.breakerAcquire(handle, nowMs);
            const expected = model.acquire(nowMs);
            expect(permit > 0).toBe(expected !== undefined);
            if (expected !== undefined) out.push({ permit, model: expected });
          }
          expect(STATES[stateOf(handle)]).toBe(model.state);
          expect(STATES[raw.breakerState(handle, nowMs)]).toBe(model.stateAt(nowMs));
          expect(inFlight(handle)).toBe(out.length);
          if (model.state === "half-open") {
            expect(probesOut(handle)).toBe(model.probesOut());
            expect(probesOut(handle)).toBeLessThanOrEqual(chosen.permits);
          }
          visited = visited.add(model.state);
        }
        // Whatever happened, and even if nothing comes back: with time it lets a call through, and successes close it.
        if (model.state === "forced-open" || model.state === "disabled")
          raw.breakerForce(handle, CLOSED, nowMs);
        nowMs += chosen.openMs + chosen.halfOpenMs + chosen.openMs;
        for (let index = 0; index < chosen.successesMin; index += 1) {
          const permit = raw.breakerAcquire(handle, nowMs);
          expect(permit).toBeGreaterThan(0);
          give(handle, permit, SUCCESS, nowMs);
        }
        expect(raw.breakerState(handle, nowMs)).toBe(0);
        raw.breakerFree(handle);
      }),
      { numRuns: 2_000 },
    );
    expect(visited.size).toBe(5);
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

describe("limits", () => {
  test("of each number, the last that is taken and the first that is not", () => {
    const status = (more: Partial<ModelOptions>) => {
      const handle = create(more);
      if (handle > 0) raw.breakerFree(handle);
      return Math.min(handle, 0);
    };
    const counted = { windowCalls: 10, callsMin: 10, failureMilli: 500 };
    const timed = { windowMs: 100, callsMin: 10, failureMilli: 500 };
    const taken: Partial<ModelOptions>[] = [
      { consecutive: 65_535 },
      { permits: 65_535, successesMin: 65_535 },
      { openMs: 0, halfOpenMs: 1 },
      { ...counted, failureMilli: 1000 },
      { ...counted, failureMilli: 0, slowMilli: 1000, slowMs: 0.001 },
      { ...counted, windowCalls: 256, callsMin: 256 },
      { ...timed, callsMin: 65_535 },
      { ...timed, windowMs: 0.01 },
      { ...counted, failureMilli: 1, callsMin: 1, windowCalls: 1, consecutive: 0 },
    ];
    for (const it of taken) expect([it, status(it)]).toEqual([it, 0]);
    const refused: Partial<ModelOptions>[] = [
      { consecutive: 65_536 },
      { permits: 65_536 },
      { permits: 0 },
      { successesMin: 65_536 },
      { successesMin: 0 },
      { halfOpenMs: 0 },
      { ...counted, failureMilli: 1001 },
      { ...counted, slowMilli: 1001, slowMs: 1 },
      { ...counted, slowMilli: 1, slowMs: 0 },
      { ...counted, failureMilli: 0 },
      { ...counted, callsMin: 11 },
      { ...counted, callsMin: 0 },
      { ...counted, windowCalls: 257 },
      { ...timed, callsMin: 65_536 },
      { ...timed, callsMin: 0 },
      { ...timed, windowMs: 0.009 },
      { consecutive: 0 },
    ];
    for (const it of refused) expect([it, status(it)]).toEqual([it, ARGUMENT]);
  });

  test("so many probes as are permitted, so many successes as are wanted, up to 65,535", () => {
    const handle = create({ consecutive: 1, permits: 65_535, successesMin: 65_535 });
    const acquire = () => raw.breakerAcquire(handle, 200);
    raw.breakerReturn(handle, raw.breakerAcquire(handle, 0), FAILURE, 0, 0);
    const permits = Array.from({ length: 65_535 }, acquire);
    expect([Math.min(...permits) > 0, acquire()]).toEqual([true, OPEN]);
    for (const [index, permit] of permits.entries())
      expect(raw.breakerReturn(handle, permit, SUCCESS, 0, 200)).toBe(index === 65_534 ? CLOSED : HALF_OPEN);
    raw.breakerFree(handle);
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
