/** The package as a user gets it: packed, installed into an empty folder, run by the system's own means. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, run } from "../support/processes.ts";

let folder = "";
const npm = (args: readonly string[], cwd: string) => run("npm", args, { cwd });
const node = (source: string) =>
  run(process.execPath, ["--input-type=module", "-e", source], { cwd: folder });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-pack-"));
  const built = await run(process.execPath, ["scripts/build.ts"], { cwd: ROOT });
  expect(built.code, built.stderr).toBe(0);
  const packed = await npm(["pack", "--ignore-scripts", "--pack-destination", folder], ROOT);
  expect(packed.code, packed.stderr).toBe(0);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  writeFileSync(join(folder, "package.json"), '{"name":"user","private":true,"type":"module"}');
  const installed = await npm(["install", "--no-audit", "--no-fund", `./${tarball}`], folder);
  expect(installed.code, installed.stderr).toBe(0);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("in an empty folder", () => {
  test("npx tardi --help", async () => {
    const ran = await run("npx", ["tardi", "--help"], { cwd: folder });
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("gateway") });
  });
  test("a policy import", async () => {
    const ran = await node(`import { circuitBreaker, retry, wrap } from "tardigrade/policy";
      const call = wrap(retry({ attempts: 3 }), circuitBreaker({ openMs: 1000 }));
      let n = 0;
      console.log(await call.execute(async () => { n += 1; if (n < 2) throw new Error("once"); return "answer " + n; }));`);
    expect(ran).toMatchObject({ code: 0, stdout: "answer 2\n" });
  });
  test("statistics, clocks and samplers", async () => {
    const ran = await node(`import { histogram } from "tardigrade/stats";
      import { hybridClock } from "tardigrade/clock";
      import { ratioSampler } from "tardigrade/trace";
      const latencies = histogram();
      latencies.record(7);
      const clock = hybridClock();
      console.log(latencies.quantile(0.5), clock.tick() < clock.tick(), ratioSampler({ ratio: 1 }).sample(0, 0));`);
    expect(ran).toMatchObject({ code: 0, stdout: "7 true true\n" });
  });
  test("protocol, virtual and gateway imports", async () => {
    const ran = await node(`const names = ["protocol", "virtual", "gateway"];
      for (const name of names) console.log(Object.keys(await import("tardigrade/" + name)).length > 0);`);
    expect(ran).toMatchObject({ code: 0, stdout: "true\ntrue\ntrue\n" });
  });
  test("the example of simulation: its types, and its run in Vitest", async () => {
    const home = join(folder, "simulation");
    cpSync(join(ROOT, "docs/examples/simulation"), home, { recursive: true });
    symlinkSync(join(ROOT, "node_modules/vitest"), join(folder, "node_modules/vitest"));
    const types = await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", home]);
    expect(types).toMatchObject({ code: 0, stdout: "" });
    const vitest = [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--root", home];
    const ran = await run(process.execPath, vitest, { cwd: home });
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    expect(ran.stdout).toMatch(/2 passed/);
  });
  test("an editor finds no false errors in firmware, and real ones", async () => {
    const home = join(folder, "edited");
    mkdirSync(home);
    writeFileSync(
      join(home, "tsconfig.json"),
      '{ "extends": "tardigrade/firmware/tsconfig.json", "include": ["*.ts"] }',
    );
    const good =
      'import { every, metric } from "tardigrade/firmware";\nconst level = metric("level", "%");\nfunction tick(): void { level.record(f64(u8(5))); }\nexport function setup(): void { every(1000, tick); }\n';
    const check = () => run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", home]);
    writeFileSync(join(home, "app.ts"), good);
    expect(await check()).toMatchObject({ code: 0, stdout: "" });
    writeFileSync(join(home, "app.ts"), good.replace("every(1000, tick)", 'every("often", tick)'));
    expect((await check()).stdout).toMatch(/app\.ts\(4,\d+\): error TS2345/);
  });
  test("the built command makes a plugin and runs it in its threads", async () => {
    const cli = join(ROOT, "dist/cli.js");
    const out = join(folder, "lora.wasm");
    const source = join(ROOT, "docs/examples/plugins/lora.ts");
    const built = await run(process.execPath, [cli, "plugin", "build", source, "--out", out]);
    expect(built.code, built.stderr).toBe(0);
    const message = ["--topic", "lora/a/up", "--hex", "0367 0110", "--time", "5000", "--json"];
    const ran = await run(process.execPath, [cli, "plugin", "run", out, ...message]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout).decoded.readings).toEqual([
      { metric: "temperature-3", unit: "Cel", value: 27.2 },
    ]);
    // Nobody who has no plugins installs what they need.
    const without = await run("npx", ["tardi", "plugin", "run", out, ...message], { cwd: folder });
    expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining("DEPENDENCY_MISSING") });
    expect(without.stderr).toContain("npm install @bytecodealliance/jco-transpile");
  });
  test("a firmware import, built by the command", async () => {
    mkdirSync(join(folder, "hello"));
    writeFileSync(
      join(folder, "hello/app.json"),
      '{ "name": "hello", "version": "0.1.0", "capabilities": ["log"] }',
    );
    writeFileSync(
      join(folder, "hello/app.ts"),
      'import { every, line } from "tardigrade/firmware";\nfunction tick(): void { line("hello").info(); }\nexport function setup(): void { every(1000, tick); }\n',
    );
    const ran = await run("npx", ["tardi", "build", "hello/app.ts", "--json"], { cwd: folder });
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({ name: "hello", used: ["log"], warnings: [] });
  });
});
