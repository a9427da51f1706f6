/** Every placement beside a slow one: what the papers say, with arrays and whole numbers of any size. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";
import { slowHash, slowMix } from "../support/slow-hash.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const FULL = -ERRORS.POOL_FULL.number;
const view = () => new DataView(core.bytes().buffer);

interface Node {
  readonly hash: bigint;
  readonly weight: number;
}
/** Memory in which every bit is set, used over and over. */
const room = core.allocate(1 << 17);
const roomNodes = core.allocate(4200 * 16);
const roomKey = core.allocate(64);
const roomTo = core.allocate(1024);
function dirty(at: number, bytes: number): number {
  core.bytes().fill(0xff, at, at + bytes);
  return at;
}
/** Behind the nodes lies one of great weight, which is nobody's. */
function place(nodes: readonly Node[]): number {
  for (const [index, { hash, weight }] of [...nodes, { hash: 5n, weight: 1e5 }].entries()) {
    view().setBigUint64(roomNodes + 16 * index, hash, true);
    view().setFloat64(roomNodes + 16 * index + 8, weight, true);
  }
  return roomNodes;
}
function keyOf(text: string): readonly [at: number, length: number, hash: bigint] {
  const bytes = new TextEncoder().encode(text);
  core.bytes().set(bytes, roomKey);
  return [roomKey, bytes.length, slowHash(bytes)];
}
const isUntouched = (from: number, bytes: number) =>
  core
    .bytes()
    .subarray(from, from + bytes)
    .every((byte) => byte === 0xff);

const node = fc.record({
  // Equal hashes too: then the order of the nodes decides.
  hash: fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(1n, 2n)),
  weight: fc.constantFrom(1, 1, 2, 0.5, 0.25, 3, 0.01, 1.37),
});
const nodes = fc.array(node, { minLength: 1, maxLength: 8 });
const keys = fc.array(fc.string({ maxLength: 12 }), { minLength: 1, maxLength: 20 });
/** Room for any number of indices; the word behind those that were asked for stays. */
function indices(count: number): number[] {
  const told = Array.from({ length: Math.max(0, count) }, (_, index) =>
    view().getUint32(roomTo + 4 * index, true),
  );
  expect(view().getUint32(roomTo + 4 * told.length, true)).toBe(0xffff_ffff);
  return told;
}

describe("a ring", () => {
  const pointsOf = ({ weight }: Node, points: number) => Math.max(1, Math.round(weight * points));
  const slowRing = (all: readonly Node[], points: number) =>
    all
      .flatMap((one, index) =>
        Array.from({ length: pointsOf(one, points) }, (_, point) => ({
          place: slowMix(one.hash, BigInt(point)),
          index,
        })),
      )
      .sort((a, b) => (a.place === b.place ? a.index - b.index : a.place < b.place ? -1 : 1));

  test("stands in memory as drawn; a key's owner is the first place at or after it, the next owners follow", () => {
    fc.assert(
      fc.property(nodes, fc.integer({ min: 1, max: 24 }), keys, (all, points, texts) => {
        const ring = slowRing(all, points);
        const at = place(all);
        const bytes = raw.hashRingBytes(at, all.length, points);
        expect(bytes).toBe(8 + 16 * ring.length);
        dirty(room, bytes + 64);
        expect(raw.hashRingBuild(room, bytes - 1, at, all.length, points)).toBe(FULL);
        expect(raw.hashRingBuild(room, bytes, at, all.length, points)).toBe(0);
        expect([view().getUint32(room, true), view().getUint32(room + 4, true)]).toEqual([
          ring.length,
          all.length,
        ]);
        for (const [index, point] of ring.entries()) {
          const entry = room + 8 + 16 * index;
          expect([view().getBigUint64(entry, true), view().getUint32(entry + 8, true)]).toEqual([
            point.place,
            point.index,
          ]);
        }
        expect(isUntouched(room + bytes, 64)).toBe(true);
        for (const text of texts) {
          const [key, length, hash] = keyOf(text);
          const first = ring.findIndex((point) => point.place >= hash);
          const around = [...ring.slice(Math.max(first, 0)), ...ring.slice(0, Math.max(first, 0))];
          const order = [...new Set(around.map((point) => point.index))];
          expect(raw.hashRingOwnerOf(room, key, length)).toBe(order[0]);
          for (const wanted of [1, 2, all.length, all.length + 1]) {
            dirty(roomTo, 64);
            const count = raw.hashRingOwnersOf(room, key, length, wanted, roomTo);
            expect(indices(count)).toEqual(order.slice(0, wanted));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a place that is the key's own hash owns the key", () => {
    const at = place([1n, 2n, 3n].map((hash) => ({ hash, weight: 1 })));
    raw.hashRingBuild(room, 4096, at, 3, 4);
    const [key, length, hash] = keyOf("a key");
    const count = view().getUint32(room, true);
    for (let index = 0; index < count; index += 1) {
      const entry = room + 8 + 16 * index;
      view().setBigUint64(entry, hash + BigInt(index - 5), true);
      view().setUint32(entry + 8, index, true);
    }
    expect(raw.hashRingOwnerOf(room, key, length)).toBe(5);
  });

  test("the most and least points, nodes and weights there may be", () => {
    const many = place(Array.from({ length: 17 }, (_, index) => ({ hash: BigInt(index), weight: 1 })));
    expect(raw.hashRingBytes(many, 16, 65_536)).toBe(8 + 16 * 2 ** 20);
    expect(raw.hashRingBytes(many, 17, 65_536)).toBe(0);
    expect(raw.hashRingBytes(many, 1, 65_537)).toBe(0);
    expect(raw.hashRingBytes(many, 1, 0)).toBe(0);
    expect(raw.hashRingBytes(many, 1, 1)).toBe(24);
    expect(raw.hashRingBytes(place(Array(4096).fill({ hash: 1n, weight: 1 })), 4096, 1)).toBe(8 + 16 * 4096);
    expect(raw.hashRingBytes(place(Array(4097).fill({ hash: 1n, weight: 1 })), 4097, 1)).toBe(0);
    expect(raw.hashRingBytes(place([{ hash: 1n, weight: 1e6 }]), 1, 1)).toBe(8 + 16e6);
    expect(raw.hashRingBytes(place([{ hash: 1n, weight: 1_000_001 }]), 1, 1)).toBe(0);
    // The last of the nodes is looked at too.
    const light = { hash: 1n, weight: 1 };
    expect(raw.hashRingBytes(place([light, { hash: 2n, weight: 0 }]), 2, 1)).toBe(0);
    expect(raw.hashRingBuild(room, 4096, place([light]), 0, 1)).toBe(ARGUMENT);
  });
});

describe("Maglev", () => {
  const tableBytes = (slots: number) => Math.ceil((8 + 2 * slots) / 8) * 8;
  function slowTable(all: readonly Node[], slots: number): number[] {
    const table: number[] = Array(slots).fill(-1);
    const heaviest = Math.max(...all.map(({ weight }) => weight));
    const work = all.map(() => ({ credit: 0, next: 0n }));
    for (let filled = 0; ; ) {
      for (const [index, { hash, weight }] of all.entries()) {
        const own = work[index] as (typeof work)[number];
        own.credit += weight / heaviest;
        if (own.credit < 1) continue;
        own.credit -= 1;
        const offset = slowMix(hash, 1n) % BigInt(slots);
        const skip = (slowMix(hash, 2n) % BigInt(slots - 1)) + 1n;
        const slotAt = () => Number((offset + own.next * skip) % BigInt(slots));
        while (table[slotAt()] !== -1) own.next += 1n;
        table[slotAt()] = index;
        own.next += 1n;
        filled += 1;
        if (filled === slots) return table;
      }
    }
  }

  test("fills its table in turns by weight, each node along its own permutation, and stays in its memory", () => {
    fc.assert(
      fc.property(nodes, fc.constantFrom(2, 3, 7, 13, 31, 61), keys, (all, slots, texts) => {
        fc.pre(slots >= all.length);
        const table = slowTable(all, slots);
        const at = place(all);
        const bytes = raw.maglevBytes(slots, all.length);
        expect(bytes).toBe(tableBytes(slots) + 16 * all.length);
        dirty(room, bytes + 64);
        expect(raw.maglevBuild(room, bytes - 1, slots, at, all.length)).toBe(FULL);
        expect(raw.maglevBuild(room, bytes, slots, at, all.length)).toBe(0);
        expect(view().getUint32(room, true)).toBe(slots);
        expect(table.map((_, slot) => view().getUint16(room + 8 + 2 * slot, true))).toEqual(table);
        expect(isUntouched(room + bytes, 64)).toBe(true);
        for (const text of texts) {
          const [key, length, hash] = keyOf(text);
          expect(raw.maglevOwnerOf(room, key, length)).toBe(table[Number(hash % BigInt(slots))]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("takes a prime number of slots up to 2^24, and as many as there are nodes at least", () => {
    const isPrime = (number: number) => {
      for (let divisor = 2; divisor < number; divisor += 1) if (number % divisor === 0) return false;
      return number > 1;
    };
    for (let slots = 0; slots < 1000; slots += 1)
      expect([slots, raw.maglevBytes(slots, 0)]).toEqual([slots, isPrime(slots) ? tableBytes(slots) : 0]);
    // The last prime below 2^24, and the first above.
    expect(raw.maglevBytes(16_777_213, 1)).toBe(tableBytes(16_777_213) + 16);
    expect(raw.maglevBytes(16_777_259, 1)).toBe(0);
    expect([raw.maglevBytes(7, 7), raw.maglevBytes(7, 8)]).toEqual([tableBytes(7) + 7 * 16, 0]);
    expect(raw.maglevBuild(room, 4096, 7, place([{ hash: 1n, weight: 1 }]), 0)).toBe(ARGUMENT);
  });
});

describe("rendezvous", () => {
  const scoreOf = (hash: bigint, { hash: own, weight }: Node) =>
    -weight / Math.log((Number(slowMix(hash, own) >> 11n) + 0.5) / 2 ** 53);

  test("ranks the nodes by their scores, equal ones in their order, as many as are wanted", () => {
    const scores = core.allocate(256);
    fc.assert(
      fc.property(nodes, keys, (all, texts) => {
        const at = place(all);
        for (const text of texts) {
          const [key, length, hash] = keyOf(text);
          const ranked = all
            .map((one, index) => ({ index, score: scoreOf(hash, one) }))
            .sort((a, b) => b.score - a.score || a.index - b.index);
          const order = ranked.map(({ index }) => index);
          expect(raw.rendezvousOwnerOf(at, all.length, key, length)).toBe(order[0]);
          for (const wanted of [1, 2, all.length, all.length + 2]) {
            dirty(roomTo, 64);
            dirty(scores, 128);
            const count = raw.rendezvousRankOf(at, all.length, key, length, wanted, roomTo, scores);
            expect(indices(count)).toEqual(order.slice(0, wanted));
            for (const [index, { score }] of ranked.slice(0, count).entries())
              expect(view().getFloat64(scores + 8 * index, true) / score).toBeCloseTo(1, 12);
            expect(isUntouched(scores + 8 * count, 8)).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("jump hash", () => {
  test("jumps as the paper's five lines do", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 1, max: 2000 }), (key, buckets) => {
        let [bucket, next, state] = [-1, 0, key];
        while (next < buckets) {
          bucket = next;
          state = BigInt.asUintN(64, state * 2862933555777941757n + 1n);
          next = Math.floor((bucket + 1) * (2 ** 31 / Number((state >> 33n) + 1n)));
        }
        expect(raw.jumpHash(key, buckets)).toBe(bucket);
      }),
      { numRuns: 2000 },
    );
    const [key, length] = keyOf("shard");
    expect(raw.jumpOwnerOf(key, length, 1)).toBe(0);
    expect(raw.jumpOwnerOf(key, length, -1)).toBe(ARGUMENT);
  });
});
