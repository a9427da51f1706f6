/** What the toolchain must know of a module beyond its code, read by wabt: initial memory and globals, and how much it touches memory. */
import { TardigradeError } from "../../../protocols/error.ts";

export interface WasmFacts {
  /** Memory instructions, bulk ones not included. */
  readonly accesses: number;
  readonly bulkOperations: number;
  /** Initial memory from `base` on: the data segments with the gaps between them as zeros. */
  readonly data: { readonly base: number; readonly bytes: Uint8Array };
  /** Initial values of the globals as C writes them. */
  readonly globals: readonly string[];
}

interface Wabt {
  readWasm(
    bytes: Uint8Array,
    options: Readonly<Record<string, boolean>>,
  ): { toText(options: object): string; destroy(): void };
}

export async function wasmFacts(wasm: Uint8Array): Promise<WasmFacts> {
  const { default: load } = (await import("wabt")) as unknown as { default: () => Promise<Wabt> };
  const module = (await load()).readWasm(Uint8Array.from(wasm), {});
  const text = module.toText({});
  module.destroy();
  return {
    accesses: (text.match(/^ +[if](?:32|64)\.(?:load|store)/gm) ?? []).length,
    bulkOperations: (text.match(/^ +memory\.(?:copy|fill)/gm) ?? []).length,
    data: dataOf(text),
    globals: [
      ...text.matchAll(/^ {2}\(global \(;\d+;\) (?:\(mut )?(\w+)\)? \((\w+)\.const (\S+?)[ )]/gm),
    ].map((match) => constantOf(match[1] as string, match[3] as string)),
  };
}

function constantOf(type: string, value: string): string {
  if (type === "i32") return `${BigInt.asUintN(32, BigInt(value))}u`;
  if (type === "i64") return `${BigInt.asUintN(64, BigInt(value))}ull`;
  const number = Number(value);
  if (!Number.isFinite(number) && !/^0x/.test(value))
    throw new TardigradeError(
      "BUILD_FAILED",
      `A global begins as ${value}, which the toolchain cannot write in C.`,
    );
  return type === "f32" ? `${value}f` : value;
}

function dataOf(text: string): WasmFacts["data"] {
  const segments = [
    ...text.matchAll(/^ {2}\(data \(;\d+;\) \(i32\.const (\d+)\) "((?:[^"\\]|\\.)*)"\)/gm),
  ].map((match) => ({ at: Number(match[1]), bytes: bytesOf(match[2] as string) }));
  if (segments.length !== (text.match(/^ {2}\(data /gm) ?? []).length)
    throw new TardigradeError("BUILD_FAILED", "A data segment is not at a constant address.");
  const base = Math.min(...segments.map(({ at }) => at)) & ~3;
  const end = Math.max(...segments.map(({ at, bytes }) => at + bytes.length));
  if (segments.length === 0) return { base: 0, bytes: new Uint8Array(0) };
  const bytes = new Uint8Array(end - base);
  for (const segment of segments) bytes.set(segment.bytes, segment.at - base);
  return { base, bytes };
}

/** A string of the text format: `\hh` is a byte, the usual escapes, the rest UTF-8. */
function bytesOf(text: string): Uint8Array {
  const bytes: number[] = [];
  const escapes: Readonly<Record<string, number>> = { t: 9, n: 10, r: 13, '"': 34, "'": 39, "\\": 92 };
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== "\\") {
      bytes.push(...new TextEncoder().encode(String.fromCodePoint(text.codePointAt(at) as number)));
      continue;
    }
    const known = escapes[text[at + 1] as string];
    if (known !== undefined) bytes.push(known);
    else bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16));
    at += known === undefined ? 2 : 1;
  }
  return Uint8Array.from(bytes);
}
