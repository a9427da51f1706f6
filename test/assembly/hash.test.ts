/** Hashing by the papers' and reference implementations' numbers. */
import { expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";
import { slowHash } from "../support/slow-hash.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;

function xxh64(text: string, seed = 0n): string {
  const bytes = new TextEncoder().encode(text);
  const at = core.allocate(Math.max(bytes.length, 1) + 1);
  // Not aligned.
  core.bytes().set(bytes, at + 1);
  return BigInt.asUintN(64, raw.xxh64(at + 1, bytes.length, seed))
    .toString(16)
    .padStart(16, "0");
}

// The reference implementation's values; the last has three stripes, and every kind of tail.
test.each([
  ["", 0n, "ef46db3751d8e999"],
  ["a", 0n, "d24ec4f1a98c6e5b"],
  ["as", 0n, "1c330fb2d66be179"],
  ["asd", 0n, "631c37ce72a97393"],
  ["asdf", 0n, "415872f599cea71e"],
  ["abc", 0n, "44bc2cf5ad770999"],
  ["Call me Ishmael. Some years ago--never mind how long precisely-", 0n, "02a2e85470d6fd96"],
])("XXH64 of %j with seed %d", (text, seed, expected) => {
  expect(xxh64(text, seed)).toBe(expected);
});

test("XXH64 of every length up to three stripes is the slow one's", () => {
  const at = core.allocate(128);
  for (let length = 0; length <= 100; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length) & 0xff);
    core.bytes().set(bytes, at);
    expect(BigInt.asUintN(64, raw.xxh64(at, length, 7n)), `${length} bytes`).toBe(slowHash(bytes, 7n));
  }
});

// Values of the reference code in the paper, as its ports check them.
test.each([
  [1n, 1, 0],
  [42n, 57, 43],
  [0xdead10ccn, 1, 0],
  [0xdead10ccn, 666, 361],
  [256n, 1024, 520],
  [0n, 0, 0],
])("jump hash of %d among %d", (key, buckets, bucket) => {
  expect(raw.jumpHash(key, buckets)).toBe(bucket);
});

test("nodes that cannot be are refused with a code, on the raw plane too", () => {
  const at = core.allocate(64);
  const view = () => new DataView(core.bytes().buffer);
  for (const weight of [0, -1, Number.NaN, 1e7]) {
    view().setFloat64(at + 8, weight, true);
    expect(raw.rendezvousOwnerOf(at, 1, at, 4)).toBe(ARGUMENT);
    expect(raw.hashRingBytes(at, 1, 10)).toBe(0);
    expect(raw.maglevBuild(at, 64, 7, at, 1)).toBe(ARGUMENT);
    expect(raw.hashRingBuild(at, 64, at, 1, 10)).toBe(ARGUMENT);
  }
  view().setFloat64(at + 8, 1, true);
  expect(raw.rendezvousOwnerOf(at, 0, at, 4)).toBe(ARGUMENT);
  expect(raw.rendezvousRankOf(at, 1, at, 4, 0, at, at)).toBe(ARGUMENT);
  expect(raw.jumpOwnerOf(at, 4, 0)).toBe(ARGUMENT);
  expect(raw.maglevBytes(100, 1)).toBe(0);
  expect(raw.maglevBytes(1, 1)).toBe(0);
  expect(raw.maglevBytes(2, 1)).toBeGreaterThan(0);
  expect(raw.maglevBytes(7, 8)).toBe(0);
  const FULL = -ERRORS.POOL_FULL.number;
  expect(raw.maglevBuild(at, 8, 7, at, 1)).toBe(FULL);
  expect(raw.hashRingBuild(at, 8, at, 1, 10)).toBe(FULL);
});
