/** What the toolchain says to people who know TypeScript: each mistake with what to write instead. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildApp } from "../../boards/toolchain/build.ts";
import { parseManifest } from "../../boards/toolchain/manifest.ts";
import { allocationPath } from "../../boards/toolchain/reach.ts";
import { CAPABILITIES } from "../../protocols/table.ts";

const ROOT = join(import.meta.dirname, "../..");
const EVERYTHING = Object.keys(CAPABILITIES);
let folder = "";
let count = 0;

beforeAll(() => {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  folder = mkdtempSync(join(ROOT, "build/apps-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes an app of these lines beside a manifest that allows everything. */
function app(
  source: string,
  manifest: unknown = { name: "trial", version: "1.0.0", capabilities: EVERYTHING },
): string {
  count += 1;
  const home = join(folder, `app-${count}`);
  mkdirSync(home);
  if (manifest !== null) writeFileSync(join(home, "app.json"), JSON.stringify(manifest));
  writeFileSync(join(home, "app.ts"), source);
  return join(home, "app.ts");
}
const build = (source: string) => buildApp({ path: app(source), board: "virtual" });
const refused = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

describe("says what to write instead of", () => {
  test.each([
    [
      "a closure",
      `import { every } from "tardigrade/firmware";\nexport function setup(): void { let count = 0; every(1000, () => { count += 1; }); }`,
      "BUILD_CLOSURE",
      /top-level `let`/,
    ],
    ["console", `export function setup(): void { console.log("x"); }`, "BUILD_IMPORT", /line\("text "\)/],
    [
      "setInterval",
      `export function setup(): void { setInterval(setup, 1000); }`,
      "BUILD_TYPE",
      /every\(periodMs, callback\)/,
    ],
    [
      "a Node module",
      `import { readFileSync } from "node:fs";\nexport function setup(): void { readFileSync("x"); }`,
      "BUILD_IMPORT",
      /no Node modules/,
    ],
    [
      "a file that is not there",
      `import { help } from "./helper";\nexport function setup(): void { help(); }`,
      "BUILD_IMPORT",
      /beside it/,
    ],
    [
      "an export that is not there",
      `import { reboot } from "tardigrade/firmware";\nexport function setup(): void { reboot(); }`,
      "BUILD_IMPORT",
      /docs\/firmware.md/,
    ],
    ["any", `let x: any = 1;\nexport function setup(): void { x = 2; }`, "BUILD_TYPE", /f64 or i32/],
    [
      "unknown",
      `let x: unknown = 1;\nexport function setup(): void { x = 2; }`,
      "BUILD_TYPE",
      /Name the type/,
    ],
    [
      "a Promise",
      `export function setup(): Promise<void> { return Promise.resolve(); }`,
      "BUILD_TYPE",
      /every\(\)|timer/,
    ],
    [
      "async",
      `export async function setup(): Promise<void> { await setup(); }`,
      "BUILD_TYPE",
      /Nothing waits/,
    ],
    [
      "an object literal",
      `export function setup(): void { const o = { a: 1 }; if (o.a > 0) setup(); }`,
      "BUILD_TYPE",
      /Declare a class/,
    ],
    ["a union", `let x: i32 | f64 = 1;\nexport function setup(): void { x = 2; }`, "BUILD_TYPE", /one type/],
    ["Date", `export function setup(): void { if (Date.now() > 0) setup(); }`, "BUILD_IMPORT", /now\(\)/],
    [
      "Math.random",
      `let x: f64 = 0;\nexport function setup(): void { x = Math.random(); }`,
      "BUILD_IMPORT",
      /random\(\) from/,
    ],
    ["try", `export function setup(): void { try { setup(); } catch (e) { } }`, "BUILD_TYPE", /status/],
  ])("%s", async (_name, source, code, words) => {
    await expect(build(source).then(() => "built")).rejects.toEqual(refused(code, words));
  });

  test("a string built in a callback", async () => {
    const source = `import { every, event } from "tardigrade/firmware";\nlet n = 0;\nfunction tick(): void { n += 1; event("n" + n.toString()); }\nexport function setup(): void { every(1000, tick); }`;
    await expect(build(source)).rejects.toEqual(refused("BUILD_ALLOCATION", /tick allocates.*fixed buffer/s));
  });
  test("an object made in a callback", async () => {
    const source = `import { every } from "tardigrade/firmware";\nclass Point { constructor(public x: f64) {} }\nlet last = new Point(0);\nfunction tick(): void { last = new Point(1); }\nexport function setup(): void { every(1000, tick); }`;
    await expect(build(source)).rejects.toEqual(
      refused("BUILD_ALLOCATION", /create it at top level or in setup/),
    );
  });
  test("an array grown in a command", async () => {
    const source = `import { onCommand, Args } from "tardigrade/firmware";\nlet seen = new Array<i32>();\nfunction add(args: Args): i32 { seen.push(1); return 0; }\nexport function setup(): void { onCommand("add", add); }`;
    await expect(build(source)).rejects.toEqual(refused("BUILD_ALLOCATION", /StaticArray/));
  });
  test("no setup", async () => {
    await expect(build("export function begin(): void {}")).rejects.toEqual(
      refused("BUILD_FAILED", /must export a function setup/),
    );
  });
  test("a message that is not in the table passes on with its place", async () => {
    await expect(build("export function setup(): void { let x: i32 = ; }")).rejects.toEqual(
      refused("BUILD_FAILED", /app\.ts:1:\d+ {2}Expression expected/),
    );
  });
});

describe("builds", () => {
  test("every example, with what it declares and uses", async () => {
    const blink = await buildApp({ path: join(ROOT, "firmware/apps/blink/app.ts"), board: "virtual" });
    expect(blink.used).toEqual(["log", "pins"]);
    expect(blink.warnings).toEqual([]);
    expect(blink.wasm.length).toBeLessThan(2_000);
    const greenhouse = await buildApp({
      path: join(ROOT, "firmware/apps/greenhouse/app.ts"),
      board: "virtual",
    });
    expect(greenhouse.used).toEqual([...greenhouse.manifest.capabilities].sort());
    expect(greenhouse.wasm.length).toBeLessThan(6_000);
  });
  test("the same bytes from the same source", async () => {
    const path = join(ROOT, "firmware/apps/blink/app.ts");
    const [one, two] = [
      await buildApp({ path, board: "virtual" }),
      await buildApp({ path, board: "virtual" }),
    ];
    expect(Buffer.from(one.wasm).equals(Buffer.from(two.wasm))).toBe(true);
  });
  test("warns of what is used and not declared", async () => {
    const path = app(
      `import { event } from "tardigrade/firmware";\nexport function setup(): void { event("x"); }`,
      {
        name: "quiet",
        version: "1.0.0",
        capabilities: [],
      },
    );
    expect((await buildApp({ path, board: "virtual" })).warnings).toEqual([
      expect.stringMatching(/"events".*CAPABILITY_DENIED/),
    ]);
  });
  test("refuses an unknown board and an absent file", async () => {
    await expect(buildApp({ path: "x.ts", board: "toaster" })).rejects.toEqual(
      refused("BUILD_BOARD", /toaster.*virtual/),
    );
    await expect(buildApp({ path: "x.ts", board: "virtual" })).rejects.toEqual(
      refused("FILE_UNREADABLE", /no file x\.ts/),
    );
  });
});

describe("manifest", () => {
  const good = { name: "a", version: "1.0.0", capabilities: ["log"] };
  test.each([
    [[], /an object/],
    [{ ...good, extra: 1 }, /"extra" is no key.*name, version, capabilities/],
    [{ ...good, name: "A b" }, /"name" must be/],
    [{ ...good, version: "one" }, /like 1\.0\.0/],
    [{ ...good, capabilities: "log" }, /must be a list/],
    [{ ...good, capabilities: ["fly"] }, /"fly" is no capability; they are telemetry/],
  ])("%j is refused", (value, words) => {
    expect(() => parseManifest(value, "app.json")).toThrow(refused("BUILD_MANIFEST", words));
  });
  test("absent, or no JSON", async () => {
    const path = app("export function setup(): void {}", null);
    await expect(buildApp({ path, board: "virtual" })).rejects.toEqual(
      refused("BUILD_MANIFEST", /missing\. Write it/),
    );
    writeFileSync(join(path, "../app.json"), "{");
    await expect(buildApp({ path, board: "virtual" })).rejects.toEqual(refused("BUILD_MANIFEST", /no JSON/));
  });
});

test("a call graph without the allocator has no path to it", () => {
  const text =
    ' (func $a (param $0 i32)\n  (call $b)\n )\n (func $b\n )\n (func $~lib/rt/stub/__new\n )\n (export "on_timer" (func $a))';
  expect(allocationPath(text)).toBeUndefined();
  expect(allocationPath(text.replace("(func $b\n", "(func $b\n  (call $~lib/rt/stub/__new)\n"))).toEqual([
    "$a",
    "$b",
    "$~lib/rt/stub/__new",
  ]);
});
