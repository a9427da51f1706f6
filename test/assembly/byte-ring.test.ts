import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const OVERFLOW = -ERRORS.RING_OVERFLOW.number;
const SPACE = -ERRORS.MESSAGE_SPACE.number;
const HEADER = 48;
const ROOM = 4096;
const ring = core.allocate(ROOM);
const buffer = core.allocate(70_000);

const open = (capacity: number): void => {
  core.bytes().fill(0xee, ring, ring + ROOM);
  expect(raw.ringInit(ring, HEADER + capacity)).toBe(0);
};
const push = (bytes: Uint8Array): number => {
  core.bytes().set(bytes, buffer);
  return raw.ringPush(ring, buffer, bytes.length);
};
const pushDropping = (bytes: Uint8Array): number => {
  core.bytes().set(bytes, buffer);
  return raw.ringPushDropping(ring, buffer, bytes.length);
};
const taken = (length: number): Uint8Array | number =>
  length < 0 ? length : core.bytes().slice(buffer, buffer + length);
const contents = (): Uint8Array[] => {
  const records: Uint8Array[] = [];
  for (let cursor = 0; cursor < raw.ringUsed(ring); cursor = raw.ringNext(ring, cursor)) {
    records.push(taken(raw.ringRead(ring, cursor, buffer, ROOM)) as Uint8Array);
  }
  return records;
};
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("a byte ring", () => {
  test("writes a record's bytes and none behind them", () => {
    open(64);
    push(bytes(1, 2, 3));
    core.bytes().fill(0x77, buffer, buffer + 16);
    expect([raw.ringRead(ring, 0, buffer, 16), core.bytes()[buffer + 2], core.bytes()[buffer + 3]]).toEqual([
      3, 3, 0x77,
    ]);
  });

  test("gives records back in order", () => {
    open(64);
    expect([push(bytes(1, 2, 3)), push(bytes()), push(bytes(4))]).toEqual([0, 0, 0]);
    expect([raw.ringCount(ring), raw.ringUsed(ring), raw.ringCapacity(ring)]).toEqual([3, 16, 64]);
    expect(taken(raw.ringPeek(ring, buffer, 16))).toEqual(bytes(1, 2, 3));
    expect(taken(raw.ringPop(ring, buffer, 16))).toEqual(bytes(1, 2, 3));
    expect(raw.ringRelease(ring)).toBe(0);
    expect(raw.ringDrop(ring)).toBe(1);
    expect(raw.ringPop(ring, buffer, 16)).toBe(ARGUMENT);
    expect(raw.ringPeek(ring, buffer, 16)).toBe(ARGUMENT);
    expect(raw.ringDrop(ring)).toBe(ARGUMENT);
    expect(raw.ringRelease(ring)).toBe(ARGUMENT);
    expect(raw.ringDropped(ring)).toBe(1); // Releasing is not dropping.
  });

  test("takes a record exactly when its bytes and four are free", () => {
    open(16);
    expect(push(new Uint8Array(12))).toBe(0);
    expect(push(bytes())).toBe(OVERFLOW);
    expect(push(new Uint8Array(13))).toBe(ARGUMENT);
    expect(pushDropping(new Uint8Array(13))).toBe(ARGUMENT);
    expect(raw.ringCount(ring)).toBe(1);
    expect(pushDropping(bytes(9))).toBe(1);
    expect(contents()).toEqual([bytes(9)]);
  });

  test("refuses memory that holds no record, and lengths that are none", () => {
    expect(raw.ringInit(ring, HEADER + 4)).toBe(ARGUMENT);
    expect(raw.ringInit(ring, 0)).toBe(ARGUMENT);
    open(100);
    expect(raw.ringPush(ring, buffer, -1)).toBe(ARGUMENT);
    expect(raw.ringPush(ring, buffer, 0x1_0000)).toBe(ARGUMENT);
  });

  test("takes the longest record there is, and a ring of the least memory one of a byte", () => {
    const long = core.allocate(HEADER + 70_000);
    expect(raw.ringInit(long, HEADER + 70_000)).toBe(0);
    expect(raw.ringPush(long, buffer, 0xffff)).toBe(0);
    expect([raw.ringUsed(long), raw.ringPop(long, buffer, 0xffff)]).toEqual([0x1_0003, 0xffff]);
    open(5);
    expect([push(bytes(1)), pushDropping(bytes(2)), push(bytes())]).toEqual([0, 1, OVERFLOW]);
    expect(contents()).toEqual([bytes(2)]);
    expect(raw.ringPeek(ring, buffer, 1)).toBe(1);
    expect(raw.ringPeek(ring, buffer, 0)).toBe(SPACE);
  });

  test("keeps a record that the reader has no room for", () => {
    open(64);
    push(bytes(1, 2, 3));
    expect(raw.ringPop(ring, buffer, 2)).toBe(SPACE);
    expect(raw.ringCount(ring)).toBe(1);
    expect(raw.ringRead(ring, 7, buffer, 64)).toBe(ARGUMENT);
    expect(raw.ringNext(ring, 7)).toBe(7);
  });

  const record = fc.uint8Array({ maxLength: 40 });
  const steps = fc.array(
    fc.record({
      do: fc.constantFrom("push", "push", "pushDropping", "pop", "release", "drop", "recover"),
      record,
    }),
    { maxLength: 120, size: "max" },
  );

  test("is a list of records beside a list of records, and stays within its memory", () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 200 }), steps, (capacity, history) => {
        open(capacity);
        let model: Uint8Array[] = [];
        let dropped = 0;
        const used = (): number => model.reduce((sum, item) => sum + item.length + 4, 0);
        for (const step of history) {
          const needed = step.record.length + 4;
          if (step.do === "push") {
            const expected = needed > capacity ? ARGUMENT : needed > capacity - used() ? OVERFLOW : 0;
            expect(push(step.record)).toBe(expected);
            if (expected === 0) model.push(step.record);
          } else if (step.do === "pushDropping") {
            const before = model.length;
            if (needed <= capacity) {
              while (needed > capacity - used()) model = model.slice(1);
              dropped += before - model.length;
              expect(pushDropping(step.record)).toBe(before - model.length);
              model.push(step.record);
            } else expect(pushDropping(step.record)).toBe(ARGUMENT);
          } else if (step.do === "pop") {
            expect(taken(raw.ringPop(ring, buffer, 64))).toEqual(model.shift() ?? ARGUMENT);
          } else if (step.do === "recover") {
            expect(raw.ringRecover(ring, HEADER + capacity)).toBe(model.length);
          } else {
            if (step.do === "drop" && model.length > 0) dropped += 1;
            const status = step.do === "drop" ? raw.ringDrop(ring) : raw.ringRelease(ring);
            expect(status).toBe(model.shift()?.length ?? ARGUMENT);
          }
          expect(contents()).toEqual(model);
          expect([raw.ringUsed(ring), raw.ringCount(ring), raw.ringDropped(ring)]).toEqual([
            used(),
            model.length,
            dropped,
          ]);
        }
        expect(
          core
            .bytes()
            .subarray(ring + HEADER + capacity, ring + ROOM)
            .every((byte) => byte === 0xee),
        ).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a ring after a reset", () => {
  test("in the middle of its init is no ring, rather than the one before with another size", () => {
    // At the memory's end the init traps where it writes the counters: as far as a reset let it come.
    const end = core.bytes().length;
    const at = end - 32;
    const view = new DataView(core.bytes().buffer);
    open(16);
    view.setUint32(at, view.getUint32(ring, true), true);
    expect(() => raw.ringInit(at, HEADER + 100)).toThrow(WebAssembly.RuntimeError);
    expect(view.getUint32(at, true)).not.toBe(view.getUint32(ring, true));
    view.setBigUint64(at, 0n, true);
  });

  test("with a state that cannot be, although its check fits, is no ring; a full one is", () => {
    const rotate = (word: number, by: number) => (word << by) | (word >>> (32 - by));
    const checkOf = (capacity: number, head: number, used: number, count: number) => {
      const first = rotate(0x9e3779b9 ^ capacity, 5) ^ Math.imul(head, 0x85ebca6b);
      const second = rotate(first, 7) ^ Math.imul(used, 0xc2b2ae35);
      return rotate(second, 11) ^ Math.imul(count, 0x27d4eb2f);
    };
    const recovered = (head: number, used: number, count: number) => {
      open(CAPACITY);
      // Sixteen records without bytes, whose check is that of none.
      for (let index = 0; index < CAPACITY; index += 4) push(bytes());
      const view = new DataView(core.bytes().buffer);
      for (const copy of [8, 24])
        for (const [index, value] of [head, used, count, checkOf(CAPACITY, head, used, count)].entries())
          view.setUint32(ring + copy + 4 * index, value, true);
      return raw.ringRecover(ring, HEADER + CAPACITY);
    };
    expect(recovered(0, CAPACITY, 16)).toBe(16);
    expect(recovered(CAPACITY - 4, CAPACITY, 16)).toBe(16);
    expect(recovered(CAPACITY, 0, 0)).toBe(ARGUMENT);
    expect(recovered(0, CAPACITY + 4, 16)).toBe(ARGUMENT);
    // More records than its bytes can be, or bytes that are no whole record: what is whole is kept.
    expect([recovered(0, 8, 3), raw.ringDropped(ring), raw.ringUsed(ring)]).toEqual([2, 1, 8]);
    expect([recovered(0, 7, 2), raw.ringDropped(ring), raw.ringUsed(ring)]).toEqual([1, 1, 4]);
    expect([recovered(0, 8, 1), raw.ringDropped(ring), raw.ringUsed(ring)]).toEqual([1, 0, 4]);
  });

  const CAPACITY = 64;
  const snapshot = (): Uint8Array => core.bytes().slice(ring, ring + HEADER + CAPACITY);

  test("is not there in memory that holds anything else", () => {
    open(CAPACITY);
    push(bytes(1));
    expect(raw.ringRecover(ring, HEADER + CAPACITY + 1)).toBe(ARGUMENT);
    const whole = snapshot();
    for (const offset of [0, 4]) {
      core.bytes().set(whole, ring);
      core.bytes()[ring + offset] = 0x55;
      expect(raw.ringRecover(ring, HEADER + CAPACITY)).toBe(ARGUMENT);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER + CAPACITY, maxLength: HEADER + CAPACITY }), (noise) => {
        core.bytes().set(noise, ring);
        return raw.ringRecover(ring, HEADER + CAPACITY) === ARGUMENT;
      }),
    );
  });

  /**
   * A reset between two stores leaves the first so many bytes of a change done, in the order of the module comment: data,
   * copy A, copy B. The bytes that a push changes are found by comparing, and put back one store at a time.
   */
  test("between any two stores of a push has the records before it, or those and the new one", () => {
    const order = [
      ...Array.from({ length: CAPACITY }, (_, index) => [HEADER + index, 1] as const),
      ...[8, 12, 16, 20, 24, 28, 32, 36].map((offset) => [offset, 4] as const),
    ];
    for (let start = 0; start < CAPACITY; start += 1) {
      open(CAPACITY);
      // Moves the head along, so that the record under test wraps at every possible place.
      for (let moved = 0; moved < start; moved += 5) {
        push(bytes(0));
        raw.ringRelease(ring);
      }
      push(bytes(1, 2, 3));
      const before = snapshot();
      push(bytes(7, 8, 9, 10, 11, 12));
      const after = snapshot();
      for (let done = 0; done <= order.length; done += 1) {
        const torn = before.slice();
        for (const [offset, width] of order.slice(0, done))
          torn.set(after.subarray(offset, offset + width), offset);
        core.bytes().set(torn, ring);
        const kept = raw.ringRecover(ring, HEADER + CAPACITY);
        expect(kept).toBeGreaterThanOrEqual(1);
        const expected = [bytes(1, 2, 3), bytes(7, 8, 9, 10, 11, 12)].slice(0, kept);
        expect(contents()).toEqual(expected);
        expect(raw.ringRecover(ring, HEADER + CAPACITY)).toBe(kept);
      }
    }
  });

  test("keeps what comes before the first damaged record, and counts the rest as dropped", () => {
    const records = [bytes(1, 2, 3), bytes(4, 5, 6), bytes(7, 8, 9)];
    for (let offset = 0; offset < 21; offset += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        open(CAPACITY);
        for (const record of records) push(record);
        const at = ring + HEADER + offset;
        core.bytes()[at] = (core.bytes()[at] ?? 0) ^ (1 << bit);
        const kept = raw.ringRecover(ring, HEADER + CAPACITY);
        expect(kept).toBe(Math.floor(offset / 7));
        expect(contents()).toEqual(records.slice(0, kept));
        expect(raw.ringDropped(ring)).toBe(3 - kept);
        expect(push(bytes(1))).toBe(0);
      }
    }
  });

  test("with a state that its check does not fit uses the other copy", () => {
    for (const offset of [8, 12, 16, 20]) {
      open(CAPACITY);
      push(bytes(1, 2, 3));
      core.bytes()[ring + offset] = 0x77;
      expect(raw.ringRecover(ring, HEADER + CAPACITY)).toBe(1);
      core.bytes()[ring + offset] = 0x77;
      core.bytes()[ring + offset + 16] = 0x77;
      expect(raw.ringRecover(ring, HEADER + CAPACITY)).toBe(ARGUMENT);
    }
  });
});
