/**
 * Plants a bug in the sources and runs simulated clusters until one finds it. Bugs in the core are compiled; those in TypeScript come in as the modules
 * are loaded, which takes plain Node: a world of its own, with its own copy of every module.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openCore } from "../../../host/core/core.ts";
import { type ClusterWorldReport, runWorld } from "../../../host/world/world.ts";
import { compileAssembly, HOST_FLAGS } from "../../../scripts/build-wasm.ts";

/** Half of what HOST_FLAGS take to compile; the worlds run as fast. */
const QUICK_FLAGS = HOST_FLAGS.map((flag) => (flag === "-O3" ? "-O1" : flag));
const ROOT = join(import.meta.dirname, "../../..");

export interface PlantedBug {
  readonly name: string;
  /** Each place stands once in its file, relative to the repository. */
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

export interface Caught {
  /** Absent when no seed found it. */
  readonly report: ClusterWorldReport | undefined;
  readonly seeds: number;
  readonly seconds: number;
}

export interface HuntOptions {
  readonly seedsMax: number;
  readonly forMs?: number;
}

type RunWorld = (seed: number, forMs: number) => Promise<ClusterWorldReport>;

/** Runs seeds from 1 on until one is violated. */
export async function huntInWorlds(
  bug: PlantedBug,
  { seedsMax, forMs = 30_000 }: HuntOptions,
): Promise<Caught> {
  const sources = planted(bug);
  const isCore = [...sources.keys()].every((path) => path.startsWith("assembly/"));
  const run = isCore ? await coreWith(sources) : await hostWith(sources);
  const beganMs = performance.now();
  const elapsed = (): number => (performance.now() - beganMs) / 1000;
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const report = await run(seed, forMs);
    if (report.violation !== undefined) return { report, seeds: seed, seconds: elapsed() };
  }
  return { report: undefined, seeds: seedsMax, seconds: elapsed() };
}

/** Changed files, by their path. */
function planted({ name, edits }: PlantedBug): Map<string, string> {
  const sources = new Map<string, string>();
  for (const { file, from, to } of edits) {
    const source = sources.get(file) ?? readFileSync(join(ROOT, file), "utf8");
    if (source.split(from).length !== 2) throw new Error(`${name}: its place in ${file} is not there once`);
    sources.set(file, source.replace(from, to));
  }
  return sources;
}

async function coreWith(sources: ReadonlyMap<string, string>): Promise<RunWorld> {
  const core = openCore(await compileAssembly(["assembly/index.ts"], QUICK_FLAGS, sources));
  return (seed, forMs) => runWorld(core, { seed, forMs });
}

let worlds = 0;

/** Modules that are asked for with a mark come as they are changed, and so do all that they import. */
async function hostWith(sources: ReadonlyMap<string, string>): Promise<RunWorld> {
  worlds += 1;
  const mark = `?planted=${worlds}`;
  const changed = new Map(
    [...sources].map(([file, text]) => [pathToFileURL(join(ROOT, file)).href + mark, text]),
  );
  registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context);
      const isOurs = context.parentURL?.endsWith(mark) === true && resolved.url.startsWith("file:");
      return isOurs && !resolved.url.endsWith(mark) ? { ...resolved, url: resolved.url + mark } : resolved;
    },
    load: (url, context, next) => {
      const loaded = next(url, context);
      const source = changed.get(url);
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(ROOT, file)).href + mark);
  const world = (await load("host/world/world.ts")) as typeof import("../../../host/world/world.ts");
  const { openCore: open } = (await load("host/core/core.ts")) as typeof import("../../../host/core/core.ts");
  const core = open(new Uint8Array(readFileSync(join(ROOT, "build/core.wasm"))));
  return (seed, forMs) => world.runWorld(core, { seed, forMs });
}
