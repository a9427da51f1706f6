/** Decision traces: steps of every machine of the core with their times, kept in protocols/vectors/decisions.json. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../host/world/random.ts";
import { compileAssembly } from "../../scripts/build-wasm.ts";
import { mutatedSources } from "./mutated.ts";

export const DECISIONS = join(import.meta.dirname, "../../protocols/vectors/decisions.json");
export const MACHINE_NAMES = [
  "breaker",
  "throttle",
  "limiter",
  "retry",
  "retry-budget",
  "latency",
  "timer-wheel",
  "bulkhead",
  "concurrency",
  "last-good",
  "ewma",
  "cusum",
  "mad",
  "seasonal",
  "sampler-and-clock",
] as const;

/** Operation, its two numbers, microseconds since the step before, what comes back. */
export type Step = readonly [operation: number, a: number, b: number, deltaUs: number, output: number];

export interface Trace {
  readonly machine: (typeof MACHINE_NAMES)[number];
  readonly steps: readonly Step[];
}

export type Decide = (machine: number, operation: number, a: number, b: number, nowUs: bigint) => bigint;

export function readTraces(): readonly Trace[] {
  return JSON.parse(readFileSync(DECISIONS, "utf8")) as readonly Trace[];
}

export function writeTraces(traces: readonly Trace[]): void {
  const lines = traces.map(
    ({ machine, steps }) =>
      `  { "machine": "${machine}", "steps": [\n${steps.map((step) => `    [${step.join(", ")}]`).join(",\n")}\n  ] }`,
  );
  writeFileSync(DECISIONS, `[\n${lines.join(",\n")}\n]\n`);
}

/** The machines as Node runs them. */
export async function openMachines(flags: readonly string[]): Promise<Decide> {
  const bytes = await compileAssembly(["test/fixtures/decisions/machine.ts"], flags, mutatedSources);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return exports.decide as Decide;
}

export function outputsOf(decide: Decide, { machine, steps }: Trace): readonly number[] {
  const number = MACHINE_NAMES.indexOf(machine);
  let nowUs = 0n;
  return steps.map(([operation, a, b, deltaUs]) => {
    nowUs += BigInt(deltaUs);
    return Number(decide(number, operation, a, b, nowUs));
  });
}

/** FNV-1a over the outputs as 64-bit numbers, as the app of test/fixtures/apps/decisions has it. */
export function digestOf(outputs: readonly number[]): number {
  let digest = 0x811c9dc5;
  for (const output of outputs) {
    const whole = BigInt.asUintN(64, BigInt(output));
    digest = Math.imul(digest ^ Number(whole & 0xffff_ffffn), 16_777_619);
    digest = Math.imul(digest ^ Number(whole >> 32n), 16_777_619);
  }
  return digest >>> 0;
}

type Draw = ReturnType<typeof seededRandom>;
const STEPS = 96;

/** Traces anew: inputs from dice, and what the machines gave before as inputs of what takes it back. */
export function drawTraces(decide: Decide): readonly Trace[] {
  return MACHINE_NAMES.flatMap((machine, number) => {
    const variants = { breaker: 3, limiter: 5, concurrency: 3 }[machine as string] ?? 1;
    return Array.from({ length: variants }, (_, variant) => {
      const random = seededRandom(1000 * number + variant);
      const given: number[] = [];
      let nowUs = 0n;
      const steps = Array.from({ length: STEPS }, (_, index): Step => {
        const [operation, a, b] = index === 0 ? BEGIN[machine](variant) : NEXT[machine](random, given);
        const deltaUs = index === 0 ? 1_000_000 : random.below(random.chance(0.1) ? 60_000 : 4_000);
        nowUs += BigInt(deltaUs);
        const output = Number(decide(number, operation, a, b, nowUs));
        if (output > 0) given.push(output);
        return [operation, a, b, deltaUs, output];
      });
      return { machine, steps };
    });
  });
}

type Input = readonly [operation: number, a: number, b: number];
type Of<T> = Readonly<Record<(typeof MACHINE_NAMES)[number], T>>;

const BEGIN: Of<(variant: number) => Input> = {
  breaker: (variant) => [variant, 20, 50],
  throttle: () => [0, 2000, 100_000],
  limiter: (variant) => [0, variant, 40_000],
  retry: () => [0, 1000, (0 << 4) | (1 << 2)],
  "retry-budget": () => [0, 200, 5],
  latency: () => [0, 900, 0],
  "timer-wheel": () => [0, 0, 0],
  bulkhead: () => [0, 3, 0],
  concurrency: (variant) => [0, variant, 20_000],
  "last-good": () => [0, 8000, 0],
  ewma: () => [0, 13, 192],
  cusum: () => [0, 1280, 32],
  mad: () => [0, 224, 16],
  seasonal: () => [0, 16, 320],
  "sampler-and-clock": () => [0, 96, 0],
};

const one = (random: Draw, of: readonly number[]): number => of[random.below(of.length)] ?? 0;
/** A reading in 64ths around 20, sometimes far off. */
const reading = (random: Draw): number => 1280 + random.below(64) + (random.chance(0.08) ? 900 : 0);

const NEXT: Of<(random: Draw, given: readonly number[]) => Input> = {
  breaker: (random, given) => {
    const operation = one(random, [3, 3, 3, 4, 4, 4, 4, 5, 6, random.chance(0.1) ? 7 : 5]);
    if (operation === 7) return [7, random.below(6), 0];
    const permit = given.at(-1 - random.below(3)) ?? 1;
    return [
      operation,
      permit > 0x3fff_ffff ? 1 : permit,
      one(random, [0, 1, 1, 2, 3, 4, 5]) | (random.below(3000) << 3),
    ];
  },
  throttle: (random) => [one(random, [1, 1, 1, 2, 2, 3, 3, 3, 4]), random.u32(), 0],
  limiter: (random) => [1 + random.below(5), random.below(4), 0],
  retry: (random) => {
    const operation = one(random, [0, 1, 1, 1, 1, 2]);
    if (operation === 0) return [0, 1 + random.below(5000), random.below(16) | (random.below(12) << 4)];
    return operation === 1
      ? [1, random.u32(), 1 + random.below(14)]
      : [2, random.below(60), random.below(60)];
  },
  "retry-budget": (random) => [one(random, [1, 1, 1, 2, 2, 3]), 0, 0],
  latency: (random) => [one(random, [1, 1, 1, 1, 2]), random.below(random.chance(0.1) ? 90_000 : 9000), 2500],
  "timer-wheel": (random, given) => {
    const operation = one(random, [1, 1, 2, 3, 3, 4]);
    if (operation === 1)
      return [1, random.below(random.chance(0.3) ? 3_000_000 : 20_000), random.below(1000)];
    return [operation, operation === 2 ? (given.at(-1 - random.below(6)) ?? 0) % 0x7fff_ffff : 0, 0];
  },
  bulkhead: (random, given) => {
    const operation = one(random, [1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8]);
    if (operation === 5) return [5, (given.at(-1 - random.below(4)) ?? 0) % 0x7fff_ffff, 0];
    if (operation === 7) return [7, random.below(5), 0];
    return [operation, random.below(5), operation === 8 ? random.below(1002) : random.below(1000)];
  },
  concurrency: (random) => {
    const inFlight = random.below(24);
    return random.chance(0.1)
      ? [2, 0, 0]
      : [1, 2000 + random.below(6000), (inFlight << 1) | (random.chance(0.05) ? 1 : 0)];
  },
  "last-good": (random) => [one(random, [1, 2, 2, 2]), 0, 0],
  ewma: (random) => [one(random, [1, 1, 1, 2, 3]), reading(random), 0],
  cusum: (random) => [1, reading(random) + (random.chance(0.5) ? 40 : 0), 0],
  mad: (random) => [one(random, [1, 1, 1, 2, 3]), reading(random), 0],
  seasonal: (random) => [one(random, [1, 1, 1, 2]), reading(random), 0],
  "sampler-and-clock": (random) => {
    const operation = one(random, [1, 2, 3, 3, 3, 4, 5, 5, 6, 6]);
    return [operation, operation === 4 ? 50 : random.u32(), random.below(100)];
  },
};
