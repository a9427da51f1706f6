/**
 * Faults that users of other breakers reported, replayed: what was said there to lead to a breaker that is stuck, or that lets everything
 * through, does not lead there here.
 */
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const REFUSED = -ERRORS.BREAKER_OPEN.number;
const [SUCCESS, FAILURE, CANCELLED, IGNORED, TIMEOUT] = [0, 1, 2, 3, 4];
const [CLOSED, OPENED, HALF_OPEN] = [0, 1, 2];
const OPEN_MS = 1000;
const HALF_OPEN_MS = 5000;

/** A breaker of a failure rate over the last ten calls, judged from `callsMin` on. */
const create = (options: {
  callsMin?: number;
  permits?: number;
  successesMin?: number;
  consecutive?: number;
}) =>
  raw.breakerCreate(
    OPEN_MS,
    HALF_OPEN_MS,
    options.consecutive ?? 0,
    10,
    0,
    500,
    0,
    0,
    options.callsMin ?? 5,
    options.permits ?? 1,
    options.successesMin ?? 1,
    0,
  );
const acquire = (handle: number, nowMs: number): number => raw.breakerAcquire(handle, nowMs);
const give = (handle: number, permit: number, outcome: number | undefined, nowMs: number): number =>
  raw.breakerReturn(handle, permit, outcome ?? 0, 0, nowMs);
const call = (handle: number, outcome: number | undefined, nowMs: number): number =>
  give(handle, acquire(handle, nowMs), outcome, nowMs);
const open = (handle: number): void => {
  for (let index = 0; index < 5; index += 1) call(handle, FAILURE, 0);
  expect(raw.breakerState(handle, 0)).toBe(OPENED);
};

describe("opossum", () => {
  test("#119: half-open lets one probe through, not the flood, and a failed probe opens again", () => {
    const handle = create({});
    open(handle);
    const granted = Array.from({ length: 100 }, () => acquire(handle, OPEN_MS)).filter(
      (permit) => permit > 0,
    );
    expect(granted).toHaveLength(1);
    expect(give(handle, granted[0] ?? 0, FAILURE, OPEN_MS)).toBe(OPENED);
    // And the next attempt comes, as after the first time.
    expect(acquire(handle, 2 * OPEN_MS)).toBeGreaterThan(0);
  });

  test("#276: a probe that fails below the least number of calls does not leave it half-open for ever", () => {
    const handle = create({ callsMin: 5 });
    open(handle);
    // Long after, the window holds fewer calls than it takes to judge a rate.
    for (let round = 0; round < 5; round += 1) {
      const nowMs = 1e6 + round * OPEN_MS;
      expect(call(handle, FAILURE, nowMs)).toBe(OPENED);
      expect(raw.breakerState(handle, nowMs + OPEN_MS)).toBe(HALF_OPEN);
    }
    expect(call(handle, SUCCESS, 2e6)).toBe(CLOSED);
  });

  test("#385: failures that come in together after it opened do not keep it open", () => {
    const handle = create({ consecutive: 5, callsMin: 10 });
    const permits = Array.from({ length: 6 }, () => acquire(handle, 0));
    for (const permit of permits) give(handle, permit, FAILURE, 1);
    expect(raw.breakerState(handle, 1)).toBe(OPENED);
    expect(raw.breakerState(handle, 1 + OPEN_MS)).toBe(HALF_OPEN);
    expect(call(handle, SUCCESS, 1 + OPEN_MS)).toBe(CLOSED);
  });

  test("#484: after a successful probe it stays closed, though slow failures of before still come in", () => {
    const handle = create({});
    const slow = Array.from({ length: 20 }, () => acquire(handle, 0));
    open(handle);
    expect(call(handle, SUCCESS, OPEN_MS)).toBe(CLOSED);
    for (const permit of slow) expect(give(handle, permit, FAILURE, OPEN_MS + 1)).toBe(CLOSED);
    expect(acquire(handle, OPEN_MS + 2)).toBeGreaterThan(0);
  });
});

describe("resilience4j", () => {
  test("#544: permits of calls that were ignored or cancelled are given back", () => {
    const handle = create({ permits: 3, successesMin: 3 });
    open(handle);
    for (let round = 0; round < 50; round += 1) {
      const permits = Array.from({ length: 3 }, () => acquire(handle, OPEN_MS));
      expect(permits.every((permit) => permit > 0)).toBe(true);
      expect(acquire(handle, OPEN_MS)).toBe(REFUSED);
      for (const permit of permits) give(handle, permit, round % 2 === 0 ? IGNORED : CANCELLED, OPEN_MS);
    }
    for (let probe = 0; probe < 3; probe += 1) call(handle, SUCCESS, OPEN_MS);
    expect(raw.breakerState(handle, OPEN_MS)).toBe(CLOSED);
  });

  test("#903: half-open whose permitted calls never report does not stay so", () => {
    const handle = create({ permits: 10, successesMin: 10 });
    open(handle);
    for (let probe = 0; probe < 10; probe += 1) expect(acquire(handle, OPEN_MS)).toBeGreaterThan(0);
    const overMs = OPEN_MS + HALF_OPEN_MS;
    expect(acquire(handle, overMs - 1)).toBe(REFUSED);
    expect(raw.breakerState(handle, overMs)).toBe(OPENED);
    const nextMs = overMs + OPEN_MS;
    for (let probe = 0; probe < 10; probe += 1) call(handle, SUCCESS, nextMs);
    expect(raw.breakerState(handle, nextMs)).toBe(CLOSED);
  });

  test("#903: nor with fewer calls than it wants to see, when they time out", () => {
    const handle = create({ permits: 10, successesMin: 10 });
    open(handle);
    for (let probe = 0; probe < 8; probe += 1) call(handle, SUCCESS, OPEN_MS);
    expect(raw.breakerState(handle, OPEN_MS)).toBe(HALF_OPEN);
    expect(call(handle, TIMEOUT, OPEN_MS)).toBe(OPENED);
  });
});

test("cockatiel #73: it closes on as many successes as it was told, not on one", () => {
  const handle = create({ permits: 4, successesMin: 3 });
  open(handle);
  expect(call(handle, SUCCESS, OPEN_MS)).toBe(HALF_OPEN);
  expect(call(handle, SUCCESS, OPEN_MS)).toBe(HALF_OPEN);
  expect(call(handle, FAILURE, OPEN_MS)).toBe(OPENED);
  // The successes of a half-open period that failed do not count for the next.
  expect(call(handle, SUCCESS, 2 * OPEN_MS)).toBe(HALF_OPEN);
  expect(call(handle, SUCCESS, 2 * OPEN_MS)).toBe(HALF_OPEN);
  expect(call(handle, SUCCESS, 2 * OPEN_MS)).toBe(CLOSED);
});
