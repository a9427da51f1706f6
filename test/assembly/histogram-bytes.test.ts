/** A histogram on its way in pieces: what a device sends merges into what it recorded, whatever fits a message. */
import fc from "fast-check";
import { expect, test } from "vitest";

import { createHistogram, type Histogram, loadHistogram } from "../../host/core/histogram.ts";
import { readHistogram } from "../../host/core/histogram-bytes.ts";
import { coarsened, meanOf, mergeHistograms, quantileOf } from "../../host/core/sparse-histogram.ts";
import { Struct } from "../../host/core/struct.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const out = core.allocate(128 * 1024);

const value = fc.oneof(
  fc.nat(40),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0xffff_ffff),
);
const recorded = fc.array(fc.tuple(value, fc.integer({ min: 1, max: 400 })), { maxLength: 60 });

function filled(bits: number, values: readonly (readonly [number, number])[]): Histogram {
  const histogram = createHistogram(core, { bits });
  for (const [of, times] of values) histogram.record(of, times);
  return histogram;
}

/** The same in the core's memory, as a device has it. */
function structOf(bits: number, values: readonly (readonly [number, number])[]): Struct {
  const struct = new Struct(core, raw.histogramBytes(bits), "histogram");
  raw.histogramInit(struct.at, bits);
  for (const [of, times] of values) raw.histogramRecord(struct.at, of, times);
  return struct;
}

test("pieces merge into the whole, leave what was not sent, and contradict themselves nowhere", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      recorded,
      fc.integer({ min: 26, max: 512 }),
      fc.nat(6),
      (bits, values, room, sent) => {
        using whole = filled(bits, values);
        using device = structOf(bits, values);
        using gateway = createHistogram(core, { bits });
        let merged = readHistogram(gateway.toBytes());
        for (let piece = 0; ; piece += 1) {
          const length = raw.histogramWrite(device.at, out, room);
          if (length === 0) break;
          expect(length).toBeLessThanOrEqual(room);
          const bytes = core.bytes().slice(out, out + length);
          if (piece === sent) {
            // The gateway was not reached: nothing is taken, and the same piece comes again.
            expect(raw.histogramWrite(device.at, out, room)).toBe(length);
          }
          // Throws where extremes, sum and buckets disagree.
          using loaded = loadHistogram(core, bytes);
          gateway.merge(loaded);
          merged = mergeHistograms(merged, readHistogram(bytes));
          raw.histogramForget(device.at);
          expect(Number(raw.histogramTotal(device.at)) + gateway.total).toBe(whole.total);
        }
        expect(gateway.toBytes()).toEqual(whole.toBytes());
        expect(merged).toEqual(readHistogram(whole.toBytes()));
        expect(Number(raw.histogramTotal(device.at))).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});

test("all of it is as long as said, and one piece where there is room", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), recorded, (bits, values) => {
      fc.pre(values.length > 0);
      using whole = filled(bits, values);
      using device = structOf(bits, values);
      const length = raw.histogramWrite(device.at, out, 128 * 1024);
      expect(core.bytes().slice(out, out + length)).toEqual(whole.toBytes());
      expect(raw.histogramWholeBytes(device.at)).toBe(length);
    }),
  );
});

test("what is recorded between two reports is in the second one only", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(recorded, { maxLength: 5 }), (bits, rounds) => {
      using all = filled(bits, rounds.flat());
      using device = structOf(bits, []);
      let merged = readHistogram(emptyBytes(bits));
      for (const round of rounds) {
        for (const [of, times] of round) raw.histogramRecord(device.at, of, times);
        for (let length = raw.histogramWrite(device.at, out, 64); length > 0; ) {
          merged = mergeHistograms(merged, readHistogram(core.bytes().slice(out, out + length)));
          raw.histogramForget(device.at);
          length = raw.histogramWrite(device.at, out, 64);
        }
      }
      expect(merged).toEqual(readHistogram(all.toBytes()));
    }),
  );
});

function emptyBytes(bits: number): Uint8Array {
  using empty = createHistogram(core, { bits });
  return empty.toBytes();
}

test("histograms of unlike precision merge into the coarser one, as if all values had been recorded in it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 10 }),
      recorded,
      recorded,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (bits, otherBits, values, others, share) => {
        using one = filled(bits, values);
        using other = filled(otherBits, others);
        using both = filled(Math.min(bits, otherBits), [...values, ...others]);
        const merged = mergeHistograms(readHistogram(one.toBytes()), readHistogram(other.toBytes()));
        expect(merged).toEqual(readHistogram(both.toBytes()));
        expect(quantileOf(merged, share)).toBe(both.quantile(share));
        expect(meanOf(merged)).toBeCloseTo(both.mean, 6);
        using coarse = filled(1, values);
        expect(coarsened(readHistogram(one.toBytes()), 1)).toEqual(readHistogram(coarse.toBytes()));
      },
    ),
  );
});

test("hostile bytes are refused with ARGUMENT, and never add anything that does not add up", () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .tuple(
        fc.integer({ min: 1, max: 10 }),
        recorded,
        fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      )
      .map(([bits, values, changes]) => {
        using histogram = filled(bits, values);
        const bytes = histogram.toBytes();
        for (const [at, to] of changes) bytes[at % bytes.length] = to;
        return bytes;
      }),
  );
  let refused = 0;
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        const { count, counts, buckets, bits, lowest, highest } = readHistogram(bytes);
        expect(counts.reduce((sum, of) => sum + of, 0)).toBe(count);
        expect(buckets.every((bucket, index) => bucket > (buckets[index - 1] ?? -1))).toBe(true);
        expect(buckets.at(-1) ?? 0).toBeLessThan((33 - bits) << bits);
        expect(count === 0 || lowest <= highest).toBe(true);
      } catch (error) {
        refused += 1;
        expect(error).toMatchObject({ code: "ARGUMENT" });
      }
    }),
    { numRuns: 2000 },
  );
  expect(refused).toBeGreaterThan(1000);
});
