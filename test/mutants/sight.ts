/** Which tests can see a fault of a source of the core: those that name what it, or what is built upon it, exports. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export interface Sight {
  /** Tests of the core that name it themselves. */
  readonly near: readonly string[];
  /** Those that reach it through the host or a support file, and those that see every source. */
  readonly far: readonly string[];
}

/** Tests that compile the core's sources themselves and know all of them. */
const SEE_ALL: readonly string[] = ["test/assembly/decisions.test.ts"];
/** Compiled apart, from the sources on the disk: they cannot see a fault that is in memory only. */
const BLIND: ReadonlySet<string> = new Set([
  "test/assembly/device-build.test.ts",
  "test/host/core/planes.test.ts",
]);
/** They name every export, for the types. */
const NAME_ALL: ReadonlySet<string> = new Set([
  "host/core/core.ts",
  "host/core/core-exports.ts",
  "test/support/core.ts",
]);

export function openSight(root: string): (source: string) => Sight {
  const read = (path: string): string => readFileSync(join(root, path), "utf8");
  const sources = globSync("assembly/**/*.ts", { cwd: root }).filter(
    (path) => !path.startsWith("assembly/plugin/"),
  );
  const texts = new Map(sources.map((path) => [path, read(path)]));
  const tests = ["test/assembly/*.test.ts", "test/host/core/**/*.test.ts"]
    .flatMap((glob) => globSync(glob, { cwd: root }))
    .filter((path) => !BLIND.has(path) && !SEE_ALL.includes(path))
    .sort();
  const reached = new Map(
    tests.map((test) => [test, wordsOf([...closure(test, read, root)].map(read).join("\n"))]),
  );
  const own = new Map(tests.map((test) => [test, wordsOf(read(test))]));
  return (source) => {
    const names = namesOf(source, texts);
    const sees = (words: ReadonlySet<string> | undefined) => names.some((name) => words?.has(name));
    const near = tests.filter((test) => sees(own.get(test)));
    const far = tests.filter((test) => !near.includes(test) && sees(reached.get(test)));
    return { near, far: [...far, ...SEE_ALL] };
  };
}

/** The entries name all, and the pools take only the sizes of what they have room for. */
const NOT_BUILT_UPON: ReadonlySet<string> = new Set([
  "assembly/index.ts",
  "assembly/component.ts",
  "assembly/raw/pools.ts",
]);

/** What a source and all that import it export, under the names that the raw plane gives. */
function namesOf(source: string, texts: ReadonlyMap<string, string>): readonly string[] {
  const above = new Set([source]);
  for (const path of above)
    for (const [other, text] of texts)
      if (!NOT_BUILT_UPON.has(other) && importsOf(other, text).includes(path)) above.add(other);
  const names = [...above].flatMap((path) => exportsOf(texts.get(path) ?? ""));
  const index = texts.get("assembly/index.ts") ?? "";
  const renamed = [...index.matchAll(/\b(\w+) as (\w+)/g)].filter(([, from = ""]) => names.includes(from));
  return [...names, ...renamed.map(([, , to = ""]) => to)];
}

function exportsOf(text: string): string[] {
  return [...text.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, name = ""]) => name);
}

function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/\bfrom "(\.[^"]*)"/g)].map(([, to = ""]) => {
    const file = normalize(join(dirname(path), to));
    return file.endsWith(".ts") ? file : `${file}.ts`;
  });
}

function closure(test: string, read: (path: string) => string, root: string): ReadonlySet<string> {
  const found = new Set([test]);
  for (const path of found)
    for (const to of importsOf(path, read(path)))
      if (!NAME_ALL.has(to) && existsSync(join(root, to))) found.add(to);
  return found;
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.match(/\w+/g));
}
