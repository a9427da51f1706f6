/** Adaptive limits beside a slow one that keeps a window's samples in a list; whole numbers, as the fixed point has them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openInside } from "../support/inside.ts";

const inside = await openInside(["resilience/concurrency"]);
const { call, constant, dirty, view } = inside;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const ONE = 256;
const [AIMD, VEGAS] = [0, 1];
const SAMPLES_MIN = 10;
const PHASE_WINDOWS_MAX = 16;

interface Options {
  readonly kind: number;
  readonly limit: number;
  readonly low: number;
  readonly high: number;
  readonly windowUs: number;
  readonly decreaseMilli: number;
  readonly slowUs: number;
  readonly everyUs: number;
  readonly toleranceMilli: number;
}
interface Sample {
  readonly startedUs: number;
  readonly inFlight: number;
  readonly dropped: boolean;
  readonly nowUs: number;
}

class Model {
  readonly #options: Options;
  #limit: number;
  #window: { tookUs: number; inFlight: number; dropped: boolean }[] = [];
  #windowEndUs: number;
  #phase: "steady" | "draining" | "measuring" = "steady";
  #phaseUs: number;
  #measured: number[] = [];
  baselineUs = 0;

  constructor(options: Options, nowUs: number) {
    this.#options = options;
    this.#limit = options.limit * ONE;
    this.#windowEndUs = nowUs + options.windowUs;
    this.#phaseUs = nowUs + options.everyUs;
  }
  get limit256(): number {
    return this.#limit;
  }
  get limit(): number {
    return this.#phase === "steady" ? Math.floor(this.#limit / ONE) : this.#options.low;
  }
  sample(one: Sample): void {
    const tookUs = Math.min(Math.max(0, one.nowUs - one.startedUs), 2 ** 32 - 1);
    if (this.#phase === "steady") this.#steady(one, tookUs);
    else if (this.#phase === "draining") {
      if (one.inFlight <= this.#options.low) this.#enter("measuring", one.nowUs);
      else this.#giveUp(one.nowUs);
    } else {
      if (one.startedUs >= this.#phaseUs && !one.dropped) this.#measured.push(tookUs);
      if (this.#measured.length === SAMPLES_MIN) {
        this.baselineUs = Math.max(1, Math.min(...this.#measured));
        this.#settle(one.nowUs);
      } else this.#giveUp(one.nowUs);
    }
  }
  #steady({ inFlight, dropped, nowUs }: Sample, tookUs: number): void {
    this.#window.push({ tookUs, inFlight, dropped });
    if (!dropped && (this.baselineUs === 0 || tookUs < this.baselineUs))
      this.baselineUs = Math.max(1, tookUs);
    if (nowUs < this.#windowEndUs || this.#window.length < SAMPLES_MIN) return;
    this.#adjust();
    this.#openWindow(nowUs);
    if (this.#options.kind !== AIMD && this.#options.everyUs > 0 && nowUs >= this.#phaseUs)
      this.#enter("draining", nowUs);
  }
  #openWindow(nowUs: number): void {
    this.#window = [];
    this.#windowEndUs = nowUs + this.#options.windowUs;
  }
  #enter(phase: "draining" | "measuring", nowUs: number): void {
    [this.#phase, this.#phaseUs, this.#measured] = [phase, nowUs, []];
  }
  #giveUp(nowUs: number): void {
    if (nowUs - this.#phaseUs > PHASE_WINDOWS_MAX * this.#options.windowUs) this.#settle(nowUs);
  }
  #settle(nowUs: number): void {
    [this.#phase, this.#phaseUs] = ["steady", nowUs + this.#options.everyUs];
    this.#openWindow(nowUs);
  }
  #adjust(): void {
    const { kind, low, high } = this.#options;
    const limit = this.#limit;
    const took = this.#window.filter(({ dropped }) => !dropped).map(({ tookUs }) => tookUs);
    const isDropped = took.length < this.#window.length;
    const meanUs =
      took.length === 0 ? 2 ** 32 - 1 : Math.floor(took.reduce((a, b) => a + b, 0) / took.length);
    const used = Math.max(...this.#window.map(({ inFlight }) => inFlight));
    let next =
      kind === AIMD
        ? this.#aimd(meanUs, isDropped)
        : kind === VEGAS
          ? this.#vegas(meanUs, isDropped)
          : this.#gradient(meanUs, isDropped);
    // Nobody comes near it: nothing says that more would hold.
    if (next > limit && 2 * used * ONE < limit) next = limit;
    this.#limit = Math.min(Math.max(next, low * ONE), high * ONE);
  }
  #aimd(meanUs: number, isDropped: boolean): number {
    const { slowUs, decreaseMilli } = this.#options;
    const isCrowded = isDropped || (slowUs > 0 && meanUs > slowUs);
    return isCrowded ? Math.floor((this.#limit * decreaseMilli) / 1000) : this.#limit + ONE;
  }
  #vegas(meanUs: number, isDropped: boolean): number {
    const limit = this.#limit;
    const step = Math.max(1, `${Math.floor(limit / ONE)}`.length - 1) * ONE;
    if (isDropped) return Math.max(0, limit - Math.max(step, Math.floor(limit / 10)));
    const queue =
      meanUs === 0 ? 0 : Math.floor((limit * (meanUs - Math.min(meanUs, this.baselineUs))) / meanUs);
    if (queue <= step) return limit + 6 * step;
    if (queue < 3 * step) return limit + step;
    return queue <= 6 * step ? limit : Math.max(0, limit - step);
  }
  #gradient(meanUs: number, isDropped: boolean): number {
    const limit = this.#limit;
    const half = Math.floor(limit / 2);
    const allowed = Math.floor((this.baselineUs * this.#options.toleranceMilli) / 1000);
    if (!isDropped && allowed >= meanUs)
      return limit + Math.max(1, Math.floor(Math.sqrt(Math.floor(limit / ONE)))) * ONE;
    const target = isDropped ? half : Math.max(half, Math.floor((limit * allowed) / meanUs));
    return limit - Math.floor((limit - target) / 5);
  }
}

const options = fc.record({
  kind: fc.nat(2),
  low: fc.integer({ min: 1, max: 5 }),
  more: fc.oneof(fc.nat(20), fc.nat(300)),
  most: fc.oneof(fc.nat(20), fc.nat(2000)),
  windowUs: fc.integer({ min: 1, max: 60 }),
  decreaseMilli: fc.constantFrom(500, 900, 999),
  slowUs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30 })),
  everyUs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 })),
  toleranceMilli: fc.constantFrom(1000, 1500, 10_000),
});
const tookUs = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 10, max: 14 }) },
  { weight: 4, arbitrary: fc.integer({ min: 8, max: 40 }) },
  { weight: 1, arbitrary: fc.nat(2) },
);
const burst = fc.record({
  calls: fc.integer({ min: 1, max: 25 }),
  gapUs: fc.oneof(fc.nat(4), fc.integer({ min: 0, max: 200 })),
  tookUs,
  spread: fc.nat(3),
  /** Of the limit then, in tenths. */
  used: fc.constantFrom(0, 4, 5, 6, 10, 10, 10, 12),
  drops: fc.constantFrom(0, 0, 0, 0, 0, 1, 25),
  began: fc.constantFrom("before", "now"),
});

test("any samples: the limit, to a 256th, and the baseline are the model's", () => {
  let [phases, moved] = [0, 0];
  fc.assert(
    fc.property(options, fc.array(burst, { maxLength: 60, size: "max" }), (chosen, bursts) => {
      const limit = chosen.low + chosen.more;
      const all = { ...chosen, limit, high: limit + chosen.most };
      let nowUs = 1000;
      const at = dirty(constant("CONCURRENCY_BYTES"));
      const bits = [all.kind, all.limit, all.low, all.high, all.windowUs] as const;
      expect(call("concurrencyInit", at, ...bits, BigInt(nowUs))).toBe(0);
      expect(call("concurrencyAimd", at, all.decreaseMilli, all.slowUs)).toBe(0);
      expect(call("concurrencyBaseline", at, all.everyUs, all.toleranceMilli, BigInt(nowUs))).toBe(0);
      const model = new Model(all, nowUs);
      for (const one of bursts) {
        for (let index = 0; index < one.calls; index += 1) {
          nowUs += one.gapUs;
          const before = model.limit;
          const took = one.tookUs + (index % (one.spread + 1));
          const sample = {
            startedUs: nowUs - took,
            // While it drains, the calls under way become few.
            inFlight: one.began === "now" ? Math.ceil((model.limit * one.used) / 10) : 3 + index,
            dropped: index < one.drops,
            nowUs,
          };
          const changed = call(
            "concurrencySample",
            at,
            BigInt(sample.startedUs),
            sample.inFlight,
            Number(sample.dropped),
            BigInt(nowUs),
          );
          model.sample(sample);
          expect(call("concurrencyLimit", at)).toBe(model.limit);
          expect(changed === 1).toBe(model.limit !== before);
          expect(view().getUint32(at + 4, true)).toBe(model.limit256);
          expect(call("concurrencyBaselineUs", at)).toBe(model.baselineUs);
          moved += model.limit === before ? 0 : 1;
          phases += view().getUint16(at + 2, true) === 2 ? 1 : 0;
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(Math.min(phases, moved)).toBeGreaterThan(1000);
});

test("bounds that are still allowed, and the first that are not", () => {
  const at = dirty(constant("CONCURRENCY_BYTES"));
  const init = (kind: number, limit: number, low: number, high: number, windowUs: number) =>
    call("concurrencyInit", at, kind, limit, low, high, windowUs, 0n);
  expect([init(2, 1, 1, 1, 1), init(0, 100_000, 100_000, 100_000, 1)]).toEqual([0, 0]);
  expect([
    init(3, 1, 1, 1, 1),
    init(0, 1, 0, 1, 1),
    init(0, 1, 2, 2, 1),
    init(0, 2, 1, 1, 1),
    init(0, 1, 1, 100_001, 1),
    init(0, 1, 1, 1, 0),
  ]).toEqual(Array(6).fill(ARGUMENT));
  expect([499, 500, 999, 1000].map((milli) => call("concurrencyAimd", at, milli, 0))).toEqual([
    ARGUMENT,
    0,
    0,
    ARGUMENT,
  ]);
  expect([999, 1000, 10_000, 10_001].map((milli) => call("concurrencyBaseline", at, 0, milli, 0n))).toEqual([
    ARGUMENT,
    0,
    0,
    ARGUMENT,
  ]);
});
