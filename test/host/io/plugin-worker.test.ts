/** The thread of a plugin: what is refused when it is opened, and what ends it. Time is simulated, the threads are real. */
import { componentEmbed, componentNew } from "@bytecodealliance/jco-transpile/wasm-tools";
import { afterEach, describe, expect, test } from "vitest";
import type { PluginRunner } from "../../../host/io/seams.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import {
  component,
  EVERYTHING,
  HOSTILE,
  LORA,
  moduleOf,
  opened,
  rawComponent,
  WORLD,
} from "../../support/plugins.ts";
import { until } from "../../support/until.ts";

const clock = new SimulatedClock();
const runners: PluginRunner[] = [];
afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()));
});
async function open(
  bytes: Uint8Array,
  options: { readonly memoryMb?: number; readonly clock?: SimulatedClock } = {},
) {
  const runner = await opened(bytes, { clock, timeMs: 50, ...options });
  runners.push(runner);
  return runner;
}
const say = (runner: PluginRunner, text: string) =>
  runner.call({ kind: "decode", topic: "evil/x/up", payload: new TextEncoder().encode(text) });

describe("is refused when it is opened", () => {
  test("bytes that are no component", async () => {
    const text = new TextEncoder().encode("no wasm");
    await expect(open(text)).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringMatching(/no component that jco can read/),
    });
  });
  test("a core module that was never wrapped", async () => {
    await expect(open(await moduleOf("(module)"))).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });
  test("one that is too large", async () => {
    await expect(open(new Uint8Array(32 * 2 ** 20 + 1))).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringContaining("bytes"),
    });
  });
  test("one with imports, which are named", async () => {
    const world = WORLD.replace("world plugin {", "world plugin {\n  import host-clock: func() -> u64;");
    const binary = await moduleOf(`(module
      (import "$root" "host-clock" (func $now (result i64)))
      (memory (export "memory") 1)
      (func (export "decode") (param i32 i32 i32 i32) (result i32) (drop (call $now)) (i32.const 1024))
      (func (export "encode") (param i32 i32 i32 i32 i32 i64 i32) (result i32) (i32.const 1024))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))`);
    const embedded = await componentEmbed({
      binary,
      witSource: world,
      world: "plugin",
      stringEncoding: "utf16",
    });
    await expect(open(await componentNew(embedded, []))).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringContaining("it imports host-clock"),
    });
  });
  test("one of another world", async () => {
    const world = "package a:b; world plugin { export decode: func(topic: string) -> string; }";
    const binary = await moduleOf(`(module (memory (export "memory") 1)
      (func (export "decode") (param i32 i32) (result i32) (i32.const 1024))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))`);
    const embedded = await componentEmbed({
      binary,
      witSource: world,
      world: "plugin",
      stringEncoding: "utf16",
    });
    await expect(open(await componentNew(embedded, []))).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringContaining("it lacks `record reading"),
    });
  });
  test("one that starts beyond its memory", async () => {
    await expect(open(await rawComponent({ memory: "65" }))).rejects.toMatchObject({ code: "PLUGIN_MEMORY" });
    await open(await rawComponent({ memory: "64" }));
  });
  test("one that traps when it starts", async () => {
    const bytes = await rawComponent({ more: "(func $go unreachable) (start $go)" });
    await expect(open(bytes)).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringContaining("it does not start"),
    });
  });
  test("one that never ends starting", async () => {
    const own = new SimulatedClock();
    const bytes = await rawComponent({ more: "(func $go (loop (br 0))) (start $go)" });
    let failure: { readonly code?: string } = {};
    open(bytes, { clock: own }).catch((error: { readonly code: string }) => {
      failure = error;
    });
    // jco has a minute, which must not pass; then the start has ten seconds.
    await until("it starts", () => (own.nextAlarmMs ?? Number.POSITIVE_INFINITY) <= 10_000);
    await own.advance(10_000);
    await until("it is ended", () => failure.code !== undefined);
    expect(failure.code).toBe("PLUGIN_INVALID");
  });
});

describe("a call", () => {
  test("past its time is ended; the next one is answered by a new thread", async () => {
    const runner = await open(await component(HOSTILE));
    expect(await say(runner, "good")).toMatchObject({ readings: [{ value: 1 }] });
    expect(await say(runner, "good")).toMatchObject({ readings: [{ value: 2 }] });
    const looping = expect(say(runner, "loop")).rejects.toMatchObject({ code: "PLUGIN_TIMEOUT" });
    await clock.advance(50);
    await looping;
    expect(await say(runner, "good")).toMatchObject({ readings: [{ value: 1 }] });
  });

  test("that traps is answered by a new instance afterwards", async () => {
    const runner = await open(await component(HOSTILE));
    await say(runner, "good");
    await expect(say(runner, "trap")).rejects.toMatchObject({
      code: "PLUGIN_TRAP",
      message: expect.stringContaining("unreachable"),
    });
    expect(await say(runner, "good")).toMatchObject({ readings: [{ value: 1 }] });
  });

  test("gets no more memory than its limit, and is told apart from a trap", async () => {
    const runner = await open(await component(HOSTILE), { memoryMb: 1 });
    await expect(say(runner, "allocate")).rejects.toMatchObject({
      code: "PLUGIN_MEMORY",
      message: expect.stringMatching(/with \d\.\d of 1 MB in use/),
    });
    expect(await say(runner, "good")).toMatchObject({ readings: [{ value: 1 }] });
  });

  // Areas as assembly/plugin/abi.ts draws them; the text of a component is at its bytes 1024 and after.
  test.each<[string, readonly number[]]>([
    ["no case of a result", [7]],
    ["no case of an option", [0, 9]],
    ["a text outside of its memory", [0, 1, 0xfffffff0, 4]],
    ["a text longer than its memory", [0, 1, 1024, 0x7fffffff]],
    ["a list longer than its memory", [0, 1, 1024, 1, 0, 0, 0, 1024, 0x7fffffff]],
    ["a list at no address of its items", [0, 1, 1024, 1, 0, 0, 0, 1025, 1]],
  ])("that answers with %s is garbage, or a value to be checked", async (_, area) => {
    const runner = await open(await rawComponent({ area }));
    const answer = await say(runner, "x").catch((error: { readonly code: string }) => error.code);
    if (typeof answer === "string") expect(answer).toBe("PLUGIN_OUTPUT");
    else expect(answer).toMatchObject({ device: expect.any(String) });
    await expect(say(runner, "x").catch((error: { readonly code: string }) => error.code)).resolves.toEqual(
      answer,
    );
  });

  test("the library for AssemblyScript carries every type of the world over", async () => {
    const runner = await open(await component(EVERYTHING));
    const decode = (topic: string, bytes: readonly number[]) =>
      runner.call({ kind: "decode", topic, payload: Uint8Array.from(bytes) });
    const numbers = [
      0xfe, 0xfe, 0xff, 0xfe, 0xff, 0xfe, 1, 2, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    ];
    const little = [0xfe, 0xff, 0xfe, 0xff, 1, 2, 3, 0xff];
    expect(await decode("e/Ü😀/numbers", [...numbers, ...little])).toEqual({
      device: "Ü😀",
      version: "1.2 é",
      readings: [
        ["u8", 254],
        ["i8", -2],
        ["u16", 65534],
        ["i16", -2],
        ["u24", 66051],
        ["u32", 4294967295],
        ["i32", -2],
        ["u16le", 65534],
        ["i16le", -2],
        ["u32le", 4278387201],
        ["left", 0],
        ["beyond", 0],
      ].map(([metric, value]) => ({ metric, unit: "", value })),
      states: [
        { key: "short", value: { tag: "boolean", val: true } },
        { key: "number", value: { tag: "number", val: -0.5 } },
        { key: "text", value: { tag: "text", val: "naïve 😀" } },
      ],
      presence: true,
    });
    expect(await decode("e/a/gone", [])).toEqual({ device: "", readings: [], states: [], presence: false });
    expect(await decode("e/a/other", [])).toBeUndefined();
    const encode = (state: string, value: boolean | number | string) =>
      runner.call({ kind: "encode", device: "Ü", state, value });
    const said = async (state: string, value: boolean | number | string) => {
      const { topic, payload } = (await encode(state, value)) as { topic: string; payload: Uint8Array };
      return `${topic} ${new TextDecoder().decode(payload)}`;
    };
    expect(await said("a", true)).toBe("e/Ü boolean true");
    expect(await said("a", -1.25)).toBe("e/Ü number -1.25");
    expect(await said("a", "grün 😀")).toBe("e/Ü text grün 😀");
    expect(await said("a", "")).toBe("e/Ü text ");
    expect(await encode("none", 1)).toBeUndefined();
    await expect(encode("refused", 1)).rejects.toMatchObject({
      code: "PLUGIN_REFUSED",
      message: "Plugin test: no reason given.",
    });
    // Lists and texts of a thousand answers do not pile up in its memory of 4 MB.
    for (let n = 0; n < 3000; n += 1) await decode("e/x/numbers", numbers.concat(Array(4000).fill(n % 256)));
  });

  test("after closing is refused, and closing twice does nothing", async () => {
    const runner = await open(await component(LORA));
    await runner.close();
    await runner.close();
    await expect(say(runner, "x")).rejects.toMatchObject({ code: "PLUGIN_TRAP" });
  });
});
