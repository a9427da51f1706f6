/** Repository rules that Biome cannot say. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generatedFiles } from "../scripts/generate.ts";

const ROOT = join(import.meta.dirname, "..");
const LINES_MAX = 500;
/** The one table: data, a row after the other. */
const TABLES = new Set(["protocols/table.ts"]);
/** Where the real clock, dice, timers and processes may be touched. */
const SEAMS = /^host\/(io|cli|exports)\/|^host\/api\/ui\/clock\.ts$/;
const NODE_FREE = /^(host\/(store|cluster|gateway|observe|world)|protocols)\//;

const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter(Boolean);
const code = tracked.filter(
  (path) => /\.(ts|mjs|tsx|c|h)$/.test(path) && !/\.generated\.ts$|\.d\.ts$/.test(path),
);
const text = new Map(code.map((path) => [path, readFileSync(join(ROOT, path), "utf8")]));
const hosts = code.filter((path) => /^(host|protocols|boards)\//.test(path));

/** Lines of code, comments taken out. */
function lines(path: string): readonly string[] {
  const source = (text.get(path) ?? "").replaceAll(/\/\*[\s\S]*?\*\//g, (comment) =>
    comment.replaceAll(/[^\n]/g, ""),
  );
  return source.split("\n").map((line) => line.replace(/(^|\s)\/\/.*$/, ""));
}
function offenders(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    lines(path).flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
  );
}

describe("seams", () => {
  test("clock, dice and timers are touched in host/io and host/cli only", () => {
    const clocks =
      /\bDate\.now\(|\bperformance\.now\(|\bMath\.random\(|(?<![.\w])(setTimeout|setInterval)\(|new Date\(\)/;
    expect(
      offenders(
        hosts.filter((path) => !SEAMS.test(path)),
        clocks,
      ),
    ).toEqual([]);
  });
  test("rooms that a world runs import nothing of Node", () => {
    expect(
      offenders(
        hosts.filter((path) => NODE_FREE.test(path)),
        /from "node:|import\("node:|\bprocess\.[a-z]|\bBuffer\b/,
      ),
    ).toEqual([]);
  });
  test("native libraries stay behind their one file", () => {
    const homes = { lmdb: "host/store/lmdb-state.ts", serialport: "host/io/serial.ts" };
    for (const [library, home] of Object.entries(homes)) {
      const native = new RegExp(`from "${library}"|import\\("${library}"\\)`);
      const elsewhere = hosts.filter((path) => path !== home);
      expect(offenders(elsewhere, native)).toEqual([]);
      // The rule would guard nothing if the file moved.
      expect(offenders([home], native)).not.toEqual([]);
    }
  });
});

describe("files", () => {
  test("generated files are what the table says", () => {
    for (const [path, expected] of generatedFiles())
      expect(readFileSync(join(ROOT, path), "utf8"), path).toBe(expected);
  });
  test("one subject a file: none is longer than its limit", () => {
    const long = [...text]
      .filter(([, source]) => source.split("\n").length > LINES_MAX)
      .filter(([path]) => !TABLES.has(path))
      .map(([path]) => path);
    expect(long).toEqual([]);
  });
  test("names are kebab-case", () => {
    const odd = code.filter((path) => !path.split("/").every((part) => /^[a-z0-9.-]+$/.test(part)));
    expect(odd).toEqual([]);
  });
  test("every folder of code begins its files with a module comment", () => {
    const bare = hosts.filter((path) => !/^(#!.*\n)?\s*\/\*\*/.test(text.get(path) ?? ""));
    expect(bare).toEqual([]);
  });
});

describe("language", () => {
  const own = code.filter((path) => path !== "test/tidy.test.ts");
  test("no barrels, enums, any, skipped tests or silenced checks", () => {
    expect(offenders(hosts, /^export \* from/)).toEqual([]);
    expect(offenders(hosts, /^(export )?(const )?enum |\bas any\b|: any\b/)).toEqual([]);
    expect(
      offenders(own, /\b(test|it|describe)\.(skip|only|todo)\(|@ts-(ignore|nocheck)|\bTODO\b|\bFIXME\b/),
    ).toEqual([]);
  });
  test("AssemblyScript of the core and the system never throws", () => {
    expect(
      offenders(
        own.filter((path) => /^(assembly|firmware\/(raft|system|sdk))\//.test(path)),
        /\bthrow\b/,
      ),
    ).toEqual([]);
  });
  test("host imports of the firmware stand in one file a module", () => {
    const declared = own.filter(
      (path) =>
        lines(path).some((line) => /^export declare function/.test(line)) && path.startsWith("firmware/"),
    );
    expect(declared).toEqual(["firmware/raft/hal.ts", "firmware/sdk/tardi.ts", "firmware/system/hal.ts"]);
  });
});

test("the lockfile names no registry host", () => {
  expect(readFileSync(join(ROOT, "package-lock.json"), "utf8")).not.toMatch(/"resolved":/);
});
