/** What authors and operators of plugins see: the commands, the example in JavaScript, the guide's example, and how a wrong file ends a start. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPlugin } from "../../../boards/toolchain/plugin.ts";
import { loadConfig } from "../../../host/cli/config.ts";
import { openPlugins } from "../../../host/cli/plugin-setup.ts";
import { decodedOf, publishOf } from "../../../host/gateway/plain/plugin-output.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { openTestCore } from "../../support/core.ts";
import { component, LORA } from "../../support/plugins.ts";
import { ROOT, run } from "../../support/processes.ts";
import { RecordingMeter } from "../../support/quiet.ts";

let folder = "";
let lora = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-plugin-"));
  lora = join(folder, "lora.wasm");
  writeFileSync(lora, await component(LORA));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tardi = (...args: readonly string[]) =>
  run(process.execPath, [join(ROOT, "host/cli/main.ts"), "plugin", ...args], { cwd: folder });
const slow = ["--time", "5000"];

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("tardi plugin", () => {
  test("build, then run: what is decoded and what is published", async () => {
    const built = await tardi("build", join(ROOT, LORA), "--out", "own.wasm", "--json");
    expect(built.code, built.stderr).toBe(0);
    expect(JSON.parse(built.stdout)).toMatchObject({ language: "AssemblyScript", warnings: [] });
    const message = ["--topic", "lora/a/up", "--hex", "03 67 0110 04:01:01", "--family", "lora"];
    const ran = await tardi("run", "own.wasm", ...message, "--set", "valve-4=false", ...slow);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toMatchInlineSnapshot(`
      "lora-a
               name           value
      reading  temperature-3  27.2 Cel
      state    valve-4        true
      publishes on lora/a/down: hex 040100
      "
    `);
  });
  test("run of what is none of its messages, of a refused one, and of wrong digits", async () => {
    const other = await tardi("run", lora, "--topic", "lora/a/join", "--payload", "", ...slow);
    expect(other).toMatchObject({ code: 0, stdout: "none of its messages\n" });
    const cut = await tardi("run", lora, "--topic", "lora/a/up", "--hex", "0367", ...slow);
    expect(cut).toMatchObject({ code: 1, stderr: expect.stringContaining("PLUGIN_REFUSED") });
    const odd = await tardi("run", lora, "--topic", "lora/a/up", "--hex", "0");
    expect(odd).toMatchObject({ code: 1, stderr: expect.stringContaining("pairs of hexadecimal digits") });
    const both = await tardi("run", lora, "--topic", "lora/a/up", "--hex", "00", "--payload", "x");
    expect(both.stderr).toContain("--payload TEXT or --hex DIGITS");
  });
});

describe("build", () => {
  test("the guide's example", async () => {
    const guide = readFileSync(join(ROOT, "docs/plugins.md"), "utf8");
    const source = /^```ts plugin\n([\s\S]*?)^```$/m.exec(guide)?.[1] ?? "";
    const { warnings } = await buildPlugin(file("tank.ts", source));
    expect(warnings).toEqual([]);
  });
  test("refuses what is no plugin, and says what to do", async () => {
    await expect(buildPlugin(file("none.ts", "export const a = 1;"))).rejects.toMatchObject({
      code: "BUILD_FAILED",
      message: expect.stringContaining("exports no function decode"),
    });
    const typo =
      'import { Decoded } from "tardigrade/plugin";\nexport function decode(t: string, p: Uint8Array): Decoded | null { return nul; }';
    await expect(buildPlugin(file("typo.ts", typo))).rejects.toMatchObject({
      code: "BUILD_FAILED",
      message: expect.stringMatching(/typo\.ts:2:\d+ .*nul/),
    });
    const dice = typo.replace("nul;", 'new Decoded("a").reading("r", "", Math.random());');
    await expect(buildPlugin(file("dice.ts", dice))).rejects.toMatchObject({
      code: "BUILD_IMPORT",
      message: expect.stringContaining("env.seed"),
    });
    await expect(buildPlugin(join(folder, "absent.ts"))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(buildPlugin(file("a.py", ""))).rejects.toMatchObject({ code: "BUILD_FAILED" });
    await expect(buildPlugin(file("a.js", ""))).rejects.toMatchObject({
      code: "DEPENDENCY_MISSING",
      message: expect.stringContaining("npm install @bytecodealliance/componentize-js"),
    });
  });
});

describe("the example in JavaScript", () => {
  const load = async () => {
    const path = join(ROOT, "docs/examples/plugins/station.js");
    return (await import(path)) as Record<"decode" | "encode", (...args: unknown[]) => unknown>;
  };
  test("decodes its line and encodes its interval into what the gateway takes", async () => {
    const { decode, encode } = await load();
    const line = new TextEncoder().encode("2026-05-04T10:00:00Z,21.5,48,1013.2,,fair\n");
    expect(decodedOf(decode("station/Roof/csv", line), "station")).toMatchObject({
      device: "station-roof",
      readings: [
        { metric: "temperature", unit: "Cel", value: 21.5 },
        { metric: "humidity", unit: "%", value: 48 },
        { metric: "pressure", unit: "hPa", value: 1013.2 },
      ],
      states: { sky: "fair" },
    });
    const publish = publishOf(encode("Roof", "interval", { tag: "number", val: 60 }), ["station/+/set"]);
    expect(publish?.topic).toBe("station/Roof/set");
    expect(new TextDecoder().decode(publish?.payload as Uint8Array)).toBe("interval=60");
  });
  test("refuses what it cannot read", async () => {
    const { decode, encode } = await load();
    expect(decode("station/Roof/status", new Uint8Array(0))).toBeUndefined();
    expect(() => decode("station/Roof/csv", new Uint8Array(0))).toThrow("a line has 6 values, not 1");
    expect(() => encode("Roof", "interval", { tag: "text", val: "often" })).toThrow("number of seconds");
  });
});

describe("the configuration", () => {
  const parts = { core: openTestCore(), clock: systemClock(), meter: new RecordingMeter() };
  const plugins = (yaml: string) => loadConfig(`plain:\n  plugins:\n${yaml}`, "t.yaml").plain.plugins;

  test("fills in bounds, and lets a plugin publish nowhere", () => {
    expect(plugins("    - { file: a.wasm, family: lora, filters: [lora/+/up] }")).toEqual([
      { file: "a.wasm", family: "lora", filters: ["lora/+/up"], publish: [], timeMs: 50, memoryMb: 16 },
    ]);
  });
  test.each(["tardi/#", "tardi", "$SYS/#", "#", "a/#/b", "a+/b", "a b"])(
    "refuses the filter %s",
    (filter) => {
      const text = `    - { file: a.wasm, family: a, filters: ["${filter}"] }`;
      expect(() => plugins(text)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    },
  );
  test("a wrong file ends the start, named, and the plugins opened before it are closed", async () => {
    const wrong = file("wrong.wasm", "no wasm");
    const list = plugins(
      `    - { file: "${lora}", family: lora, filters: [a] }\n    - { file: "${wrong}", family: wrong, filters: [b] }`,
    );
    await expect(openPlugins(list, parts)).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringMatching(/wrong\.wasm is no plugin .* no component .* tries it/),
    });
    const absent = plugins(`    - { file: "${folder}/absent.wasm", family: a, filters: [b] }`);
    await expect(openPlugins(absent, parts)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    const twice = [...list.slice(0, 1), ...list.slice(0, 1)];
    await expect(openPlugins(twice, parts)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
  test("plugins are opened and closed", async () => {
    const opened = await openPlugins(
      plugins(`    - { file: "${lora}", family: lora, filters: ["lora/+/up"], timeMs: 5000 }`),
      parts,
    );
    const [decoder] = opened.decoders;
    await expect(decoder?.decode("lora/a/up", Uint8Array.from([1, 0x68, 50]))).resolves.toMatchObject({
      device: "lora-a",
      readings: [{ metric: "humidity-1", value: 25 }],
    });
    await opened.close();
    await expect(decoder?.decode("lora/a/up", new Uint8Array(0))).rejects.toMatchObject({
      code: "PLUGIN_TRAP",
    });
  });
});
