/** The device's error monitor beside lists that keep everything, over resets, power cuts and damage. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const BYTES = 360;
const HEAD_BYTES = 24;
const ENTRY_BYTES = 20;
const ROWS = 6;
const LAST = 6;
const NO_ROW = 255;
const WINDOW_US = 2 ** 26;
const NAMES = [
  "app",
  "system",
  "pump",
  "a-name-of-twenty-four-by",
  "seventeen-letters",
  "fünfzehn-bytes漢字",
];
const nameAt = new Map(
  NAMES.map((name) => {
    const bytes = new TextEncoder().encode(name);
    const at = core.allocate(bytes.length);
    core.bytes().set(bytes, at);
    return [name, { at, length: bytes.length }];
  }),
);
/** At most 16 bytes of whole characters. */
const kept = (name: string) => {
  let text = "";
  for (const char of name) {
    if (new TextEncoder().encode(text + char).length > 16) break;
    text += char;
  }
  return text;
};
const named = (name: string) => nameAt.get(name) as { readonly at: number; readonly length: number };

interface Seen {
  readonly code: number;
  readonly name: string;
  readonly severity: number;
  readonly detail: bigint;
  readonly us: bigint;
}

const monitor = () => {
  const at = core.allocate(BYTES);
  // As RAM is after a power cut.
  core.bytes().fill(0xa5, at, at + BYTES);
  raw.monitorInit(at, 1);
  return at;
};
const record = (at: number, { code, name, severity, detail, us }: Seen) =>
  raw.monitorRecord(at, code, severity, named(name).at, named(name).length, detail, us);
const text = (at: number, length: number) => new TextDecoder().decode(core.bytes().slice(at, at + length));
const rowsOf = (at: number) =>
  Array.from({ length: ROWS }, (_, index) => raw.monitorRow(at, index))
    .filter((row) => raw.monitorCode(row) !== 0)
    .map((row) => ({
      code: raw.monitorCode(row),
      name: text(raw.monitorRowName(row), raw.monitorRowNameLength(row)),
      count: raw.monitorRowCount(row),
    }));
const lastOf = (at: number) =>
  Array.from({ length: LAST }, (_, age) => raw.monitorEntry(at, age)).filter(
    (entry) => raw.monitorCode(entry) !== 0,
  );

const seen = fc.record({
  code: fc.constantFrom(203, 205, 206, 214, 216),
  name: fc.constantFrom(...NAMES),
  severity: fc.nat(4),
  detail: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  gapUs: fc.oneof(fc.nat(2000), fc.nat(WINDOW_US * 3)),
});

/** Pairs as the monitor keeps them: at most ROWS, the one that was quiet for longest goes. */
class Model {
  readonly pairs: { code: number; name: string; count: number; lastTick: bigint }[] = [];
  evicted = 0;
  add(one: Seen): number {
    const name = kept(one.name);
    let pair = this.pairs.find((it) => it.code === one.code && it.name === name);
    if (pair === undefined) {
      pair = { code: one.code, name, count: 0, lastTick: 0n };
      if (this.pairs.length < ROWS) this.pairs.push(pair);
      else {
        const oldest = this.pairs.reduce((a, b) => (b.lastTick < a.lastTick ? b : a));
        this.pairs[this.pairs.indexOf(oldest)] = pair;
        this.evicted += 1;
      }
    }
    pair.count += 1;
    pair.lastTick = one.us >> 10n;
    return pair.count;
  }
}

describe("counts and the last ones", () => {
  test("are those of the model, and of a reader after a reset", () => {
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 60 }), (steps) => {
        const at = monitor();
        const model = new Model();
        const all: Seen[] = [];
        let us = 0n;
        for (const { gapUs, ...step } of steps) {
          us += BigInt(gapUs);
          const one = { ...step, us };
          expect(record(at, one)).toBe(model.add(one));
          all.unshift(one);
        }
        expect(raw.monitorRecover(at, 1)).toBe(0);
        expect(raw.monitorTotal(at)).toBe(all.length);
        expect(raw.monitorEvicted(at)).toBe(model.evicted);
        expect(rowsOf(at)).toEqual(model.pairs.map(({ code, name, count }) => ({ code, name, count })));
        const entries = lastOf(at);
        expect(entries).toHaveLength(Math.min(all.length, LAST));
        for (const [age, entry] of entries.entries()) {
          const one = all[age] as Seen;
          expect(raw.monitorCode(entry)).toBe(one.code);
          expect(raw.monitorEntryDetail(entry)).toBe(one.detail);
          expect(raw.monitorEntryUptime(entry)).toBe((one.us >> 10n) << 10n);
          const row = raw.monitorEntryRow(entry);
          const index = model.pairs.findIndex((it) => it.code === one.code && it.name === kept(one.name));
          // A pair that was evicted and came back has a new row; the old entries have none.
          if (row !== NO_ROW) expect(row).toBe(index);
        }
      }),
      { numRuns: 400 },
    );
  });

  test("of pairs that were all quiet for as long the first goes, and what it had among the last has no row", () => {
    const at = monitor();
    const codes = [201, 202, 203, 204, 205, 206, 201, 207];
    for (const code of codes) record(at, { code, name: "app", severity: 2, detail: 0n, us: 0n });
    const last = lastOf(at).map((entry) => [raw.monitorCode(entry), raw.monitorEntryRow(entry)]);
    expect(last).toEqual([
      [207, 0],
      [201, NO_ROW],
      [206, 5],
      [205, 4],
      [204, 3],
      [203, 2],
    ]);
    expect(raw.monitorRecover(at, 1)).toBe(0);
  });

  test("what lies behind the monitor is not its own, even if it looks like an entry of a row that goes", () => {
    const at = core.allocate(BYTES + 32);
    raw.monitorInit(at, 1);
    const codes = [201, 202, 203, 204, 205, 206, 201];
    for (const code of codes) record(at, { code, name: "app", severity: 2, detail: 0n, us: 0n });
    const newest = raw.monitorEntry(at, 0);
    const behind = core.bytes().slice(newest, newest + ENTRY_BYTES);
    core.bytes().set(behind, at + BYTES);
    record(at, { code: 207, name: "app", severity: 2, detail: 0n, us: 0n });
    expect(core.bytes().slice(at + BYTES, at + BYTES + ENTRY_BYTES)).toEqual(behind);
  });

  test("a rate is that of the last window, to one window's part", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(WINDOW_US / 4), { maxLength: 80 }),
        fc.nat(WINDOW_US * 2),
        (gaps, later) => {
          const at = monitor();
          const times: number[] = [];
          let us = 0;
          const one = { code: 206, name: "app", severity: 3, detail: 0n };
          for (const gap of gaps) {
            us += gap;
            times.push(us);
            record(at, { ...one, us: BigInt(us) });
          }
          const now = us + later;
          const window = Math.floor(now / WINDOW_US);
          const inside = (index: number) => times.filter((it) => Math.floor(it / WINDOW_US) === index).length;
          const share = 1 - (now % WINDOW_US) / WINDOW_US;
          const exact = inside(window) + inside(window - 1) * share;
          const told = raw.monitorRate(at, 206, named("app").at, named("app").length, BigInt(now));
          expect(told).toBeLessThanOrEqual(exact);
          expect(told).toBeGreaterThan(exact - 1.01);
          expect(raw.monitorRate(at, 207, named("app").at, named("app").length, BigInt(now))).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("what lies there after a reset", () => {
  const filled = () => {
    const at = monitor();
    for (let index = 0; index < 9; index += 1) {
      record(at, { code: 203 + index, name: "app", severity: 2, detail: 7n, us: BigInt(index * 5000) });
    }
    return at;
  };

  test("another boot's monitor, or none, is not taken", () => {
    expect(raw.monitorRecover(filled(), 2)).toBe(-1);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: BYTES, maxLength: BYTES }), (garbage) => {
        const at = core.allocate(BYTES);
        core.bytes().set(garbage, at);
        expect(raw.monitorRecover(at, 1)).toBe(-1);
      }),
    );
  });

  test("a byte that changed costs its slot, and is noticed; one of the head costs all", () => {
    const at = filled();
    const good = core.bytes().slice(at, at + BYTES);
    for (let byte = 0; byte < BYTES; byte += 1) {
      for (const flip of [0x01, 0x80, 0xff]) {
        core.bytes().set(good, at);
        const before = core.bytes()[at + byte] as number;
        core.bytes()[at + byte] = before ^ flip;
        const told = raw.monitorRecover(at, 1);
        if (byte < HEAD_BYTES) expect([byte, told]).toEqual([byte, -1]);
        else {
          expect([byte, told]).toEqual([byte, 1]);
          // What is left is whole, and goes on being used.
          expect(raw.monitorRecover(at, 1)).toBe(0);
          record(at, { code: 206, name: "pump", severity: 3, detail: 1n, us: 99_000n });
          expect(raw.monitorRecover(at, 1)).toBe(0);
        }
      }
    }
  });

  test("a head whose newest entry is none costs all, although its check fits; the last there is does not", () => {
    const newest = (index: number) => {
      const at = monitor();
      for (let n = 0; n < 5; n += 1) record(at, { code: 203, name: "app", severity: 2, detail: 7n, us: 0n });
      const view = new DataView(core.bytes().buffer);
      view.setUint8(at + 22, index);
      view.setUint32(at + 4, raw.crc32(at + 8, 16), true);
      return raw.monitorRecover(at, 1);
    };
    expect([newest(0), newest(5), newest(6)]).toEqual([0, 0, -1]);
  });

  test("a name of just sixteen bytes is kept whole, whatever lies behind it", () => {
    const at = monitor();
    const name = core.allocate(24);
    core.bytes().fill(0x61, name, name + 16);
    core.bytes().fill(0x80, name + 16, name + 24);
    raw.monitorRecord(at, 206, 2, name, 16, 0n, 0n);
    expect(rowsOf(at)).toEqual([{ code: 206, name: "a".repeat(16), count: 1 }]);
    expect(raw.monitorRate(at, 206, name, 16, 0n)).toBe(1);
  });

  test("counts of a window and of evictions stop at 65,535, the others go on", () => {
    const at = monitor();
    const one = { code: 206, name: "app", severity: 2, detail: 0n, us: 0n };
    for (let n = 0; n < 65_537; n += 1) record(at, one);
    const app = named("app");
    expect(raw.monitorRate(at, 206, app.at, app.length, 0n)).toBe(65_535);
    expect(rowsOf(at)).toEqual([{ code: 206, name: "app", count: 65_537 }]);
    for (let n = 0; n < 65_543; n += 1) record(at, { ...one, code: 300 + (n % 100), us: BigInt(1100 * n) });
    expect([raw.monitorEvicted(at), raw.monitorTotal(at)]).toEqual([65_535, 65_537 + 65_543]);
    // The worst that a row has seen stays its severity.
    const severity = (worst: number) => {
      record(at, { ...one, severity: worst, us: 90_000_000n });
      const row = Array.from({ length: ROWS }, (_, index) => raw.monitorRow(at, index)).find(
        (it) => raw.monitorCode(it) === 206,
      );
      return core.bytes()[(row ?? 0) + 4];
    };
    expect([1, 4, 2].map(severity)).toEqual([1, 4, 4]);
  });

  test("the supervisor's number is kept with the rest", () => {
    const at = filled();
    raw.monitorCrashesSet(at, 4);
    expect(raw.monitorRecover(at, 1)).toBe(0);
    expect(raw.monitorCrashes(at)).toBe(4);
    raw.monitorInit(at, 2);
    expect([raw.monitorCrashes(at), raw.monitorTotal(at), rowsOf(at).length, lastOf(at).length]).toEqual([
      0, 0, 0, 0,
    ]);
  });
});
