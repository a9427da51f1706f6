/**
 * The core's own modules, with what devices link and the raw plane does not export: structs in the caller's memory, times in microseconds. While
 * scripts/mutants.ts runs the tests, with the fault in them.
 */
import { compileAssembly } from "../../scripts/build-wasm.ts";
import { mutatedSources } from "./mutated.ts";

/** A device's, but not optimised, which takes most of the time and decides the same. */
const FLAGS = ["--noAssert", "--runtime", "stub", "--use", "abort=", "--disable", "bulk-memory"];
/** What is beyond belongs to the heap below. */
const FREE_FROM = 1 << 20;
const PAGE_BYTES = 1 << 16;

type Value = number | bigint;

export interface Inside {
  /** Calls what a module exports; i64 and u64 are bigints, unsigned ones as the signed of the same bits. */
  readonly call: (name: string, ...values: readonly Value[]) => number;
  readonly call64: (name: string, ...values: readonly Value[]) => bigint;
  /** A constant that a module exports. */
  readonly constant: (name: string) => number;
  readonly view: () => DataView;
  readonly bytes: () => Uint8Array;
  /** Memory in which every bit is set, as are those of the 64 bytes behind it. */
  readonly dirty: (bytes: number) => number;
}

export async function openInside(modules: readonly string[]): Promise<Inside> {
  const paths = modules.map((name) => `assembly/${name}.ts`);
  const wasm = await compileAssembly(paths, FLAGS, mutatedSources);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  const memory = exports.memory as WebAssembly.Memory;
  let free = FREE_FROM;
  const call = (name: string, values: readonly Value[]): Value =>
    (exports[name] as (...values: readonly Value[]) => Value)(...values);
  return {
    call: (name, ...values) => Number(call(name, values)),
    call64: (name, ...values) => BigInt.asUintN(64, BigInt(call(name, values))),
    constant: (name) => Number((exports[name] as WebAssembly.Global).value),
    view: () => new DataView(memory.buffer),
    bytes: () => new Uint8Array(memory.buffer),
    dirty: (bytes) => {
      const at = free;
      free += Math.ceil((bytes + 64) / 16) * 16;
      const missing = Math.ceil((free - memory.buffer.byteLength) / PAGE_BYTES);
      if (missing > 0) memory.grow(missing);
      new Uint8Array(memory.buffer).fill(0xff, at, free);
      return at;
    },
  };
}
