/**
 * What each policy costs on a device: cycles a decision, bytes of flash and of state on the emulated Cortex-M0+, beside the same policy by hand in C.
 * Cycles are exact and the same each time: one round is enough.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildApp } from "../boards/toolchain/build.ts";
import { capabilityBits } from "../boards/toolchain/manifest.ts";
import {
  buildNative,
  buildPeer,
  type NativeBuild,
  type NativeImage,
} from "../boards/toolchain/native/image.ts";
import { ROOT } from "./child.ts";
import { EmulatedPico, gccVersion, pico } from "./emulated-pico.ts";
import { hex, type SuiteOptions, sameChecksum, scaled, short } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const APP = join(ROOT, "bench/apps/device");
const ROUNDS = 4000;
/** At most 2.5 times C's cycles. */
const CYCLES_GOAL = 0.4;
const CYCLES_MAX = 400;
const SET_BYTES_MAX = 16 * 1024;
const BREAKER_BYTES_MAX = 64;
/** Kernel 0 and policy 0 of the app: nothing. */
const EMPTY = 0;

interface Kernel {
  readonly k: number;
  readonly claim: string;
  /** Whether it has a goal of its own. */
  readonly bounded?: true;
}
interface Policy {
  readonly name: string;
  /** The number in app.ts and peer.c; kernels likewise. */
  readonly policy: number;
  readonly kernels: readonly Kernel[];
}

const POLICIES: readonly Policy[] = [
  {
    name: "circuit breaker",
    policy: 1,
    kernels: [
      { k: 1, claim: "breaker, closed: permit taken and given back", bounded: true },
      { k: 2, claim: "breaker with a window of 16 calls: the same" },
      { k: 3, claim: "breaker, open: a refusal", bounded: true },
    ],
  },
  { name: "adaptive throttle", policy: 2, kernels: [{ k: 4, claim: "throttle: a call admitted or not" }] },
  { name: "token bucket", policy: 3, kernels: [{ k: 5, claim: "token bucket: one take", bounded: true }] },
  { name: "GCRA", policy: 4, kernels: [{ k: 6, claim: "GCRA: one take", bounded: true }] },
  {
    name: "windows",
    policy: 5,
    kernels: [
      { k: 7, claim: "fixed window: one take" },
      { k: 8, claim: "sliding counter: one take" },
    ],
  },
  { name: "sliding log", policy: 6, kernels: [{ k: 9, claim: "sliding log: one take" }] },
  { name: "retry", policy: 7, kernels: [{ k: 10, claim: "retry: a wait, exponential with full jitter" }] },
  { name: "retry budget", policy: 8, kernels: [{ k: 11, claim: "retry budget: a call and a retry" }] },
  { name: "latency quantile", policy: 9, kernels: [{ k: 12, claim: "latency quantile: a sample" }] },
  {
    name: "timer wheel",
    policy: 10,
    kernels: [
      { k: 13, claim: "timer wheel: started and stopped" },
      { k: 14, claim: "timer wheel: started and due" },
    ],
  },
  {
    name: "bulkhead",
    policy: 11,
    kernels: [
      { k: 15, claim: "bulkhead: entered and left" },
      { k: 16, claim: "bulkhead, full: queued, and the next let in" },
    ],
  },
  { name: "adaptive concurrency", policy: 12, kernels: [{ k: 17, claim: "adaptive concurrency: a sample" }] },
  {
    name: "last good value",
    policy: 13,
    kernels: [{ k: 18, claim: "last good value: stored and asked for" }],
  },
];
const ALL = -1;

export async function deviceSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const gcc = await gccVersion();
  options.say("all policies in one image");
  const ours = await built(ALL, options.folder);
  const theirs = await peer(ALL);
  const rounds = scaled(ROUNDS, options.scale, 40);
  const sides = {
    ours: new Side(ours.base, ours.app, rounds),
    theirs: new Side(ours.base, theirs, rounds),
  };
  const rows = POLICIES.flatMap(({ kernels }) => kernels).flatMap((kernel) => cycleRows(kernel, sides, gcc));
  rows.push(...stateRows(sides, gcc));
  rows.push(...(await flashRows({ ours: ours.app, theirs }, gcc, options)));
  return rows;
}

/** The app with one policy alone; a copy, since the number stands in its source. */
async function built(only: number, folder: string): Promise<NativeBuild> {
  const app = join(folder, `only${only}`);
  mkdirSync(app, { recursive: true });
  cpSync(join(APP, "app.json"), join(app, "app.json"));
  const source = readFileSync(join(APP, "app.ts"), "utf8")
    .replace("const ONLY: i32 = -1;", `const ONLY: i32 = ${only};`)
    .replaceAll("../../../assembly/", "tardigrade/assembly/");
  writeFileSync(join(app, "app.ts"), source);
  return buildNative(pico(), await buildApp({ path: join(app, "app.ts"), board: "pico" }));
}

function peer(only: number): Promise<NativeImage> {
  return buildPeer(pico(), {
    source: join(APP, "peer.c"),
    arenaBytes: 128,
    capabilities: capabilityBits(["commands"]),
    flags: ["-O2", `-DONLY=${only}`],
  });
}

/** One of the two, with the cost of the loop around a decision. */
class Side {
  readonly #board: EmulatedPico;
  readonly #rounds: number;
  readonly #around: number;

  constructor(base: NativeImage, app: NativeImage, rounds: number) {
    this.#board = new EmulatedPico(pico(), base, app);
    this.#rounds = rounds;
    this.#around = this.#measured(EMPTY).cycles;
  }
  #measured(k: number): { readonly cycles: number; readonly digest: number } {
    const n = this.#rounds;
    const once = this.#board.command("run", { k, n });
    const twice = this.#board.command("run", { k, n: 2 * n });
    return { cycles: (twice.cycles - once.cycles) / n, digest: (twice.result + once.result) >>> 0 };
  }
  kernel(k: number): { readonly cycles: number; readonly digest: number; readonly rounds: number } {
    const { cycles, digest } = this.#measured(k);
    return { cycles: cycles - this.#around, digest, rounds: this.#rounds };
  }
  stateBytes(k: number): number {
    return this.#board.command("bytes", { k }).result;
  }
}
interface Sides {
  readonly ours: Side;
  readonly theirs: Side;
}

function cycleRows({ k, claim, bounded }: Kernel, sides: Sides, gcc: string): readonly BenchRow[] {
  const ours = sides.ours.kernel(k);
  const theirs = sides.theirs.kernel(k);
  const checksum = sameChecksum({ ours: ours.digest, C: theirs.digest });
  const common = { unit: "cycles", better: "less", ours: ours.cycles, checksum } as const;
  const row = benchRow({
    ...common,
    claim,
    peer: { name: "C -O2, gcc", version: gcc, value: theirs.cycles },
    ...(bounded ? { goal: CYCLES_GOAL } : {}),
    note: `difference of two runs, ${short(ours.rounds)} rounds apart, less an empty decision; called as a callback calls it`,
  });
  if (!bounded) return [row];
  return [
    row,
    benchRow({
      ...common,
      claim: `${claim}, against the goal`,
      peer: { name: "goal", version: "", value: CYCLES_MAX },
      goal: 1,
      note: "",
    }),
  ];
}

function stateRows(sides: Sides, gcc: string): readonly BenchRow[] {
  const rows = POLICIES.map(({ name, kernels }) => {
    const k = kernels[0]?.k ?? EMPTY;
    const ours = sides.ours.stateBytes(k);
    return benchRow({
      claim: `${name}, state`,
      unit: "bytes of RAM",
      better: "less",
      ours,
      peer: { name: "C, sizeof", version: gcc, value: sides.theirs.stateBytes(k) },
      checksum: hex(ours),
      note: STATE_NOTES[name] ?? "",
    });
  });
  const breaker = sides.ours.stateBytes(1);
  rows.push(
    benchRow({
      claim: "circuit breaker, state against the goal",
      unit: "bytes of RAM",
      better: "less",
      ours: breaker,
      peer: { name: "goal", version: "", value: BREAKER_BYTES_MAX },
      goal: 1,
      checksum: hex(breaker),
      note: "without its window",
    }),
  );
  return rows;
}

const STATE_NOTES: Readonly<Record<string, string>> = {
  "adaptive throttle": "six slots",
  "sliding log": "20 entries",
  "retry budget": "six slots",
  "timer wheel": "eight timers",
  bulkhead: "four places in the queue",
};

async function flashRows(
  all: { readonly ours: NativeImage; readonly theirs: NativeImage },
  gcc: string,
  options: SuiteOptions,
): Promise<readonly BenchRow[]> {
  const empty = {
    ours: (await built(EMPTY, options.folder)).app.flashBytes,
    theirs: (await peer(EMPTY)).flashBytes,
  };
  const row = (claim: string, ours: number, theirs: number): BenchRow =>
    benchRow({
      claim,
      unit: "bytes of flash",
      better: "less",
      ours: ours - empty.ours,
      peer: { name: "C -O2, gcc", version: gcc, value: theirs - empty.theirs },
      checksum: hex(ours),
      note: "an app with it, less one without any",
    });
  const rows: BenchRow[] = [];
  for (const { name, policy } of POLICIES) {
    options.say(`${name} alone`);
    const ours = await built(policy, options.folder);
    rows.push(row(`${name}, code`, ours.app.flashBytes, (await peer(policy)).flashBytes));
  }
  rows.push(row("every policy in one app, code", all.ours.flashBytes, all.theirs.flashBytes));
  const set = all.ours.flashBytes - empty.ours;
  rows.push(
    benchRow({
      claim: "every policy in one app, code against the goal",
      unit: "bytes of flash",
      better: "less",
      ours: set,
      peer: { name: "goal", version: "", value: SET_BYTES_MAX },
      goal: 1,
      checksum: hex(set),
      note: "",
    }),
  );
  return rows;
}
