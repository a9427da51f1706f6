/** Documents that cannot rot: links lead somewhere, claims have code and test, examples build, commands and functions exist. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { componentEmbed } from "@bytecodealliance/jco-transpile/wasm-tools";
import { describe, expect, test } from "vitest";
import { buildApp } from "../boards/toolchain/build.ts";
import { buildRaftModule } from "../boards/toolchain/raft-module.ts";
import { loadConfig } from "../host/cli/config.ts";
import { configSchemaJson } from "../host/cli/config-schema.ts";
import { CAPABILITIES, LIMITS } from "../protocols/table.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const documents = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.md"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter(Boolean);

/** Text outside of code. */
const prose = (path: string) => read(path).replaceAll(/^```[\s\S]*?^```$/gm, "");
const blocks = (path: string, language: string) =>
  [...read(path).matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)]
    .filter(([, head]) => head === language)
    .map(([, , body]) => body as string);
/** GitHub's: lower case, no punctuation, hyphens for spaces. */
const anchors = (path: string) =>
  [...prose(path).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, "")
      .replaceAll(" ", "-"),
  );

function brokenLinks(path: string): string[] {
  return [...prose(path).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (target === undefined || /^[a-z]+:/.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const linked = file === "" ? path : join(dirname(path), file);
    if (!existsSync(join(ROOT, linked))) return [`${path}: ${target}`];
    return anchor !== undefined && !anchors(linked).includes(anchor) ? [`${path}: ${target}`] : [];
  });
}

describe("documents", () => {
  test("relative links lead somewhere", () => {
    expect(documents.length).toBeGreaterThan(10);
    expect(documents.flatMap(brokenLinks)).toEqual([]);
  });

  test("a feature that claims something has code and test", () => {
    const rows = read("docs/features.md")
      .split("\n")
      .map((line) => line.split("|").map((cell) => cell.trim()))
      .filter(([, id]) => /^\d+(\.\d+)+$/.test(id ?? ""));
    expect(rows.length).toBe(76);
    expect(new Set(rows.map(([, id]) => id)).size).toBe(76);
    const wrong = rows.filter(([, , , state, code, tests, boards]) => {
      if (!/^(–|simulated|emulated|tried on silicon)$/.test(boards ?? "")) return true;
      if (state === "not yet") return false;
      return !/^(done|part)$/.test(state ?? "") || !code?.includes("](") || !tests?.includes("](");
    });
    expect(wrong.map(([, id]) => id)).toEqual([]);
  });
});

describe("commands", () => {
  const shell = documents.flatMap((path) =>
    ["sh", "console", "text"].flatMap((language) => blocks(path, language)),
  );
  const main = read("host/cli/main.ts");

  test("tardi commands in documents exist", () => {
    const used = shell.flatMap((block) =>
      [...block.matchAll(/(?:npm run tardi --|\btardi) ([a-z][a-z ]*)/g)].map(([, words]) => words as string),
    );
    const known = new Set([...main.matchAll(/\.command\("([a-z]+)/g)].map(([, name]) => name));
    expect(used.length).toBeGreaterThan(8);
    expect(used.filter((words) => !known.has(words.split(" ")[0]))).toEqual([]);
  });

  test("their options exist", () => {
    const used = shell.flatMap((block) =>
      block
        .split("\n")
        .filter((line) => /npm (run tardi|start) -- /.test(line))
        .flatMap(
          (line) =>
            line
              .replace(/#.*/, "")
              .replace("-- ", "")
              .match(/--[a-z][a-z-]*/g) ?? [],
        ),
    );
    const known = new Set(main.match(/--[a-z][a-z-]+/g));
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((option) => option !== "--help" && !known.has(option))).toEqual([]);
  });

  test("npm scripts in documents exist", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const used = documents.flatMap((path) =>
      [...read(path).matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name),
    );
    expect(used.filter((name) => !((name as string) in scripts))).toEqual([]);
  });
});

test("firmware examples build", async () => {
  const apps = ["README.md", "docs/firmware.md"].flatMap((path) => blocks(path, "ts firmware"));
  expect(apps.length).toBe(2);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "build/docs-"));
  try {
    for (const [index, source] of apps.entries()) {
      const at = join(folder, `app-${index}`);
      mkdirSync(at);
      writeFileSync(join(at, "app.ts"), source);
      const manifest = { name: "example", version: "1.0.0", capabilities: Object.keys(CAPABILITIES) };
      writeFileSync(join(at, "app.json"), JSON.stringify(manifest));
      const { warnings } = await buildApp({ path: join(at, "app.ts"), board: "virtual" });
      expect(warnings).toEqual([]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("examples of boards that agree build", async () => {
  const [source, ...others] = blocks("docs/firmware.md", "ts raft");
  expect(others).toEqual([]);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "build/docs-"));
  try {
    writeFileSync(join(folder, "app.ts"), source as string);
    expect((await buildRaftModule(join(folder, "app.ts"))).wasm.length).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("docs/firmware.md names everything that tardigrade/firmware/raft exports", () => {
  const guide = read("docs/firmware.md");
  const source = read("firmware/raft/index.ts");
  const names = [
    ...[...source.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, name]) => name as string),
    ...[...source.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) =>
      (list as string).split(",").map((entry) => entry.trim().replace(/^.* as /, "")),
    ),
  ].filter((name) => name !== "");
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(guide))).toEqual([]);
});

test("configurations in documents load", () => {
  const files = ["README.md", "docs/gateway.md"].flatMap((path) => blocks(path, "yaml"));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) loadConfig(file, "tardigrade.yaml", { CLOUD_PASSWORD: "a-password" });
});

test("docs/gateway.md names every key of tardigrade.yaml", () => {
  interface Schema {
    readonly properties?: Readonly<Record<string, Schema>>;
  }
  const keysOf = (schema: Schema, path: string): string[] =>
    schema.properties === undefined
      ? [path]
      : Object.entries(schema.properties).flatMap(([name, under]) =>
          keysOf(under, path === "" ? name : `${path}.${name}`),
        );
  const guide = read("docs/gateway.md");
  const keys = keysOf(configSchemaJson() as Schema, "");
  expect(keys.length).toBeGreaterThan(30);
  expect(keys.filter((key) => !guide.includes(`\`${key}\``))).toEqual([]);
});

test("docs/firmware.md names everything that tardigrade/firmware exports", () => {
  const guide = read("docs/firmware.md");
  const names = [...read("firmware/index.ts").matchAll(/export \{([^}]*)\}/g)].flatMap(([, list]) =>
    (list as string).split(",").map((name) => name.trim()),
  );
  expect(names.filter((name) => name !== "" && !new RegExp(`\\b${name}\\b`).test(guide))).toEqual([]);
});

describe("protocols/wit/firmware.wit", () => {
  const wit = read("protocols/wit/firmware.wit");
  const INTERFACE = /interface ([a-z]+) \{\n([\s\S]*?)^\}/gm;
  const interfaces = new Map([...wit.matchAll(INTERFACE)].map(([, name, body]) => [name, body as string]));
  /** name(types): result, as core WebAssembly has them. */
  const functionsOf = (name: string, prefix = "") =>
    [...(interfaces.get(name) ?? "").matchAll(/^ {2}([a-z-]+): func\((.*)\)(?: -> ([a-z0-9-]+))?;/gm)]
      .map(([, id, parameters, result]) => {
        const types = [...(parameters as string).matchAll(/: ([a-z0-9-]+)/g)].map(([, type]) => coreOf(type));
        return `${prefix}${(id as string).replaceAll("-", "_")}(${types}): ${coreOf(result)}`;
      })
      .sort();
  const coreOf = (type: string | undefined) =>
    type === undefined ? "void" : /64$/.test(type) ? (type.startsWith("f") ? "f64" : "i64") : "i32";
  const declared = (path: string, pattern: RegExp, only?: readonly string[]) =>
    [...read(path).matchAll(pattern)]
      .filter(([, id]) => only === undefined || only.includes(id as string))
      .map(([, id, parameters, result]) => {
        const types = [...(parameters as string).matchAll(/: ([a-z0-9]+)/g)].map(([, type]) => coreOf(type));
        return `${id}(${types}): ${result === "void" ? "void" : coreOf(result)}`;
      })
      .sort();
  const FUNCTION = /export (?:declare )?function (\w+)\(([^)]*)\): (\w+)/g;

  test.each(["firmware", "app"])("is WIT with a world %s", async (world) => {
    const binary = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    await expect(componentEmbed({ binary, witSource: wit, world })).resolves.toBeInstanceOf(Uint8Array);
  });
  test("hal is what the system imports", () => {
    expect(functionsOf("hal", "hal_")).toEqual(declared("firmware/system/hal.ts", FUNCTION));
  });
  test("tardi is what an app imports", () => {
    expect(functionsOf("tardi")).toEqual(declared("firmware/sdk/tardi.ts", FUNCTION));
  });
  test("base is what the system exports to its port", () => {
    expect(functionsOf("base")).toEqual(declared("firmware/system/index.ts", FUNCTION));
  });
  test("callbacks hold what the toolchain exports", () => {
    const added = declared("firmware/sdk/dispatch.ts", FUNCTION);
    expect(functionsOf("callbacks")).toEqual([...added, "setup(): void", "start(): void"].sort());
  });
  test("states the receive buffer's size", () => {
    expect(wit).toContain(LIMITS.MESSAGE_BYTES_MAX.toLocaleString("en-US"));
  });
});
