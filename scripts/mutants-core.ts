/**
 * Faults by rule in the core: each is compiled in memory and the tests that can see it run on that core, first those that name what is changed, then
 * all others. One that does not compile, or whose code is the original's or another's byte for byte, is no fault, and the next takes its place.
 */
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../host/world/random.ts";
import { type GeneratedMutant, mutantsOf, spread } from "../test/mutants/operators.ts";
import { openSight, type Sight } from "../test/mutants/sight.ts";
import { reasonFor } from "../test/mutants/survivors.ts";
import { buildWasm, compileAssembly, HOST_FLAGS } from "./build-wasm.ts";
import { inLanes, runTests } from "./run-tests.ts";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = "assembly/{clock,codec,errors,hash,lockfree,memory,resilience,stats,trace}/*.ts";
const ENTRY = ["assembly/index.ts"];
/** A quarter of the time of -O3, and decides the same. */
const QUICK_FLAGS = HOST_FLAGS.map((flag) => (flag === "-O3" ? "-O1" : flag));
/** A run may take so many times as long as without a fault. */
const SLOWER = 5;
const START_MS_MAX = 15_000;

export interface CoreResult {
  readonly outcome: "caught" | "survived" | "explained";
  /** Path and line. */
  readonly place: string;
  readonly change: string;
  readonly text: string;
  readonly seconds: number;
  /** The test file that caught it, or why it may survive. */
  readonly note: string;
}

export interface CoreOptions {
  readonly count: number;
  readonly seed: number;
  /** Part of the paths of sources. */
  readonly file: string;
  /** For compiled cores and reports. */
  readonly folder: string;
}

interface Compiled {
  readonly mutant: GeneratedMutant;
  readonly wasm: Uint8Array;
}

export async function runCore({ count, seed, file, folder }: CoreOptions): Promise<readonly CoreResult[]> {
  await buildWasm();
  const sources = globSync(SOURCES, { cwd: ROOT })
    .filter((path) => path.includes(file) && !path.endsWith(".generated.ts"))
    .sort();
  const sight = openSight(ROOT);
  const generated = sources.map((path) => mutantsOf(path, readFileSync(join(ROOT, path), "utf8")));
  const random = seededRandom(seed);
  const choice = new Choice(spread(generated, (bound) => random.below(bound)));
  const runner = new Runner(folder);
  await runner.learnTimes([...new Set(sources.flatMap((path) => testsOf(sight(path))))]);

  const results: CoreResult[] = [];
  let underWay = 0;
  const lanes = Array.from({ length: Math.min(availableParallelism(), 4) }, (_, lane) => lane);
  await inLanes(lanes, lanes, async (lane) => {
    while (results.length + underWay < count) {
      underWay += 1;
      const compiled = await choice.next();
      const result =
        compiled === undefined ? undefined : await runner.tries(compiled, sight(compiled.mutant.file), lane);
      underWay -= 1;
      if (compiled === undefined) return;
      if (result === undefined) continue;
      results.push(result);
      const { outcome, seconds, place, change, note } = result;
      console.log(
        `${String(results.length).padStart(4)} ${outcome.padEnd(9)} ${seconds.toFixed(1).padStart(5)} s  ${place}  ${change}  ${note}`,
      );
    }
  });
  return results;
}

/** Gives the candidates that are faults, one after the other, whoever asks. */
class Choice {
  readonly #candidates: GeneratedMutant[];
  readonly #seen = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(candidates: readonly GeneratedMutant[]) {
    this.#candidates = [...candidates];
  }

  /** Undefined when there are no more. */
  next(): Promise<Compiled | undefined> {
    const next = this.#last.then(() => this.#take());
    this.#last = next;
    return next;
  }

  async #take(): Promise<Compiled | undefined> {
    if (this.#seen.size === 0) this.#seen.add(hashOf(await compileAssembly(ENTRY, QUICK_FLAGS)));
    for (let mutant = this.#candidates.shift(); mutant !== undefined; mutant = this.#candidates.shift()) {
      const wasm = await compiled(mutant, QUICK_FLAGS);
      if (wasm === undefined || this.#seen.has(hashOf(wasm))) continue;
      this.#seen.add(hashOf(wasm));
      return { mutant, wasm };
    }
    return undefined;
  }
}

/** Undefined when it does not compile. */
async function compiled(mutant: GeneratedMutant, flags: readonly string[]): Promise<Uint8Array | undefined> {
  try {
    return await compileAssembly(ENTRY, flags, new Map([[mutant.file, mutant.source]]));
  } catch {
    return undefined;
  }
}

class Runner {
  readonly #folder: string;
  #seconds: ReadonlyMap<string, number> = new Map();
  /** The core as it is, with all optimisations. */
  #original: Promise<string> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs the tests without a fault: they must pass, and that long do they take. */
  async learnTimes(tests: readonly string[]): Promise<void> {
    const mutant = {
      file: "assembly/index.ts",
      source: readFileSync(join(ROOT, "assembly/index.ts"), "utf8"),
    };
    const run = await this.#run(mutant, await compileAssembly(ENTRY, QUICK_FLAGS), tests, 600_000, "clean");
    if (run.failed !== 0)
      throw new Error(`The tests do not pass without a fault: ${run.file}\n${run.output}`);
    this.#seconds = run.seconds;
  }

  /** Undefined when it is no fault after all, as optimisation shows. */
  async tries(
    { mutant, wasm }: Compiled,
    { near, far }: Sight,
    lane: number,
  ): Promise<CoreResult | undefined> {
    const beganMs = performance.now();
    const result = (outcome: CoreResult["outcome"], note: string): CoreResult => ({
      outcome,
      place: `${mutant.file}:${mutant.line}`,
      change: `${mutant.operator}  ${mutant.from} -> ${mutant.to}`,
      text: mutant.text,
      seconds: (performance.now() - beganMs) / 1000,
      note,
    });
    for (const tests of [near, far]) {
      if (tests.length === 0) continue;
      const run = await this.#run(mutant, wasm, tests, this.#msMax(tests), `lane-${lane}`);
      if (run.failed < 0) throw new Error(`No test could run: ${run.output}`);
      if (run.failed > 0) return result("caught", run.file ?? "");
    }
    this.#original ??= compileAssembly(ENTRY, HOST_FLAGS).then(hashOf);
    const optimised = await compiled(mutant, HOST_FLAGS);
    if (optimised !== undefined && hashOf(optimised) === (await this.#original)) return undefined;
    const reason = reasonFor(mutant);
    return reason === undefined ? result("survived", "") : result("explained", reason);
  }

  #msMax(tests: readonly string[]): number {
    const seconds = tests.reduce((sum, test) => sum + (this.#seconds.get(test) ?? 1) + 0.5, 0);
    return START_MS_MAX + SLOWER * seconds * 1000;
  }

  #run(
    { file, source }: Pick<GeneratedMutant, "file" | "source">,
    core: Uint8Array,
    tests: readonly string[],
    msMax: number,
    name: string,
  ) {
    const path = (ending: string) => join(this.#folder, `${name}${ending}`);
    writeFileSync(path(".wasm"), core);
    writeFileSync(path(".json"), JSON.stringify({ file, source, wasm: path(".wasm") }));
    return runTests({
      folder: ROOT,
      tests,
      msMax,
      report: path("-report.json"),
      env: { TARDI_MUTANT: path(".json") },
      args: ["--pool=threads", "--maxWorkers=1"],
    });
  }
}

function testsOf({ near, far }: Sight): readonly string[] {
  return [...near, ...far];
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
