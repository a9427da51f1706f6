/** Maxima written into core modules: the engine itself holds them, and everything else of the module stays as it was. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limitModule } from "../../../host/io/wasm-limits.ts";
import { isTardigradeError } from "../../../protocols/error.ts";
import { moduleOf } from "../../support/plugins.ts";

const LIMITS = { memoryPagesMax: 4, tableEntriesMax: 8 };
const GROWS = `
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))`;

async function grown(text: string): Promise<{ grow(pages: number): number; size(): number }> {
  const { bytes } = limitModule(await moduleOf(text), LIMITS);
  const { instance } = await WebAssembly.instantiate(bytes);
  return instance.exports as unknown as { grow(pages: number): number; size(): number };
}

describe("memory", () => {
  test.each([
    ["no maximum", "(memory 1)"],
    ["a larger maximum", "(memory 1 100)"],
    ["a maximum of the whole address space", "(memory 1 65536)"],
  ])("%s: it grows to the limit and no further", async (_, memory) => {
    const { grow, size } = await grown(`(module ${memory} ${GROWS})`);
    expect(grow(3)).toBe(1);
    expect(grow(1)).toBe(-1);
    expect(size()).toBe(4);
  });

  test("a smaller maximum stays", async () => {
    const { grow } = await grown(`(module (memory 1 2) ${GROWS})`);
    expect(grow(1)).toBe(1);
    expect(grow(1)).toBe(-1);
  });

  test("one that starts beyond the limit is refused, and told how much it wants", async () => {
    const module = await moduleOf(`(module (memory 5))`);
    expect(() => limitModule(module, LIMITS)).toThrow(
      expect.objectContaining({ code: "PLUGIN_MEMORY", message: expect.stringContaining("0.31 MB") }),
    );
    expect(() => limitModule(module, { ...LIMITS, memoryPagesMax: 5 })).not.toThrow();
  });

  test("shared and 64-bit memories are refused", async () => {
    const shared = await moduleOf("(module (memory 1 2 shared))", { threads: true });
    const wide = await moduleOf("(module (memory i64 1))", { memory64: true });
    for (const module of [shared, wide])
      expect(() => limitModule(module, LIMITS)).toThrow(expect.objectContaining({ code: "PLUGIN_INVALID" }));
  });

  test("memories of its own are counted, imported ones are their owner's", async () => {
    const own = await moduleOf("(module (memory 1))");
    const foreign = await moduleOf('(module (import "a" "m" (memory 1 9)))');
    expect(limitModule(own, LIMITS).memories).toBe(1);
    expect(limitModule(foreign, LIMITS)).toEqual({ bytes: foreign, memories: 0 });
  });
});

describe("tables", () => {
  test("grow to the limit and no further", async () => {
    const { bytes } = limitModule(await moduleOf('(module (table (export "t") 2 funcref))'), LIMITS);
    const { instance } = await WebAssembly.instantiate(bytes);
    const table = instance.exports.t as WebAssembly.Table;
    expect(table.grow(6)).toBe(2);
    expect(() => table.grow(1)).toThrow(RangeError);
  });
  test("one that starts beyond it is refused", async () => {
    const module = await moduleOf("(module (table 9 funcref))");
    expect(() => limitModule(module, LIMITS)).toThrow(expect.objectContaining({ code: "PLUGIN_INVALID" }));
  });
});

test("a module without memory and table stays byte for byte", async () => {
  const module = await moduleOf('(module (func (export "f") (result i32) (i32.const 624485)))');
  expect(limitModule(module, LIMITS)).toEqual({ bytes: module, memories: 0 });
});

test("any bytes give a module or a code", async () => {
  const module = await moduleOf(`(module (table 1 funcref) (memory 1) ${GROWS})`);
  const given = (bytes: Uint8Array): void => {
    try {
      limitModule(bytes, LIMITS);
    } catch (error) {
      if (!isTardigradeError(error)) throw error;
    }
  };
  for (let length = 0; length < module.length; length += 1) given(module.subarray(0, length));
  fc.assert(
    fc.property(fc.nat(module.length - 1), fc.nat(255), (at, byte) => given(module.with(at, byte))),
    { numRuns: 5000 },
  );
});
