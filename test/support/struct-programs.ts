/**
 * Random functions over structs: loads and stores at constant offsets from one address, in straight lines, branches and loops, with the address moved
 * or read from memory on the way. Each exists twice: as AssemblyScript, and as steps that `evaluate` walks over an arena byte by byte, slowly,
 * trapping where an access leaves it.
 */
import type { Random } from "../../host/io/seams.ts";

const TYPES = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, u64: 8 } as const;
type Type = keyof typeof TYPES;

type Step =
  | { readonly kind: "load" | "store"; readonly type: Type; readonly offset: number }
  | { readonly kind: "leave"; readonly mask: number }
  | { readonly kind: "branch"; readonly mask: number; readonly yes: Steps; readonly no: Steps }
  | { readonly kind: "loop"; readonly times: number; readonly body: Steps }
  | { readonly kind: "move"; readonly by: number }
  | { readonly kind: "chase"; readonly offset: number }
  | { readonly kind: "call" };
type Steps = readonly Step[];

export interface StructProgram {
  readonly source: string;
  readonly steps: Steps;
}

export function structPrograms(random: Random, count: number): readonly StructProgram[] {
  return Array.from({ length: count }, (_, index) => {
    const steps = stepsOf(random, 4 + (random.u32() % 8), 2);
    const source = `export function f${index}(at: usize, h: u32): u32 {\n${text(steps, "  ")}  return h;\n}\n`;
    return { source, steps };
  });
}

/** What a function answers, or undefined for a trap; the arena keeps what was stored before it. */
export function evaluate(steps: Steps, arena: Uint8Array, at: number, seed: number): number | undefined {
  const view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
  let h = seed;
  const reach = (offset: number, bytes: number): number => {
    const address = (at + offset) >>> 0;
    if (address + bytes > arena.length) throw TRAPPED;
    return address;
  };
  const read = (type: Type, offset: number): number => {
    const address = reach(offset, TYPES[type]);
    switch (type) {
      case "u8":
        return view.getUint8(address);
      case "i8":
        return view.getInt8(address);
      case "u16":
        return view.getUint16(address, true);
      case "i16":
        return view.getInt16(address, true);
      case "u32":
        return view.getUint32(address, true);
      default:
        return (view.getUint32(address, true) ^ view.getUint32(address + 4, true)) >>> 0;
    }
  };
  const write = (type: Type, offset: number): void => {
    const address = reach(offset, TYPES[type]);
    if (type === "u8" || type === "i8") view.setUint8(address, h & 0xff);
    else if (type === "u16" || type === "i16") view.setUint16(address, h & 0xffff, true);
    else view.setUint32(address, h, true);
    if (type === "u64") view.setUint32(address + 4, h, true);
  };
  /** False when the function was left. */
  const walk = (of: Steps): boolean =>
    of.every((step) => {
      switch (step.kind) {
        case "load":
          h = mix(h, read(step.type, step.offset));
          break;
        case "store":
          write(step.type, step.offset);
          break;
        case "leave":
          return (h & step.mask) !== 0;
        case "branch":
          return walk((h & step.mask) !== 0 ? step.yes : step.no);
        case "loop":
          return Array.from({ length: step.times }).every(() => walk(step.body));
        case "move":
          at = (at + step.by) >>> 0;
          break;
        case "chase":
          at = read("u32", step.offset) & 0xff;
          break;
        case "call":
          h = mix(h, 7);
          break;
      }
      return true;
    });
  try {
    walk(steps);
    return h;
  } catch (error) {
    if (error !== TRAPPED) throw error;
    return undefined;
  }
}

const TRAPPED = Symbol("trapped");
const mix = (h: number, value: number) => (Math.imul(h ^ value, 0x01000193) + 1) >>> 0;

export const STRUCT_PRELUDE = `
function mix(h: u32, value: u32): u32 {
  return (h ^ value) * 0x01000193 + 1;
}
let calls: u32 = 0;
// Too large to be put in line.
function called(h: u32): u32 {
  calls += 1;
  if (calls == 0xffffffff) calls = mix(mix(mix(calls, h), calls), h);
  return mix(h, 7);
}
`;

function stepsOf(random: Random, count: number, depth: number): Steps {
  const below = (bound: number) => random.u32() % bound;
  const type = () => Object.keys(TYPES)[below(6)] as Type;
  /** Mostly aligned, as a struct's fields are. */
  const offset = (of: Type) => (below(10) === 0 ? below(40) : below(40 / TYPES[of]) * TYPES[of]);
  return Array.from({ length: count }, (): Step => {
    const choice = below(depth > 0 ? 20 : 14);
    const field = type();
    if (choice < 6) return { kind: "load", type: field, offset: offset(field) };
    if (choice < 10) return { kind: "store", type: field, offset: offset(field) };
    if (choice === 10) return { kind: "leave", mask: 1 + below(255) };
    if (choice === 11) return { kind: "move", by: [4, 8, 16, 1, -4, 32][below(6)] as number };
    if (choice === 12) return { kind: "chase", offset: below(5) * 4 };
    if (choice === 13) return { kind: "call" };
    const inner = () => stepsOf(random, 1 + below(5), depth - 1);
    if (choice < 17) return { kind: "branch", mask: 1 << below(8), yes: inner(), no: inner() };
    return { kind: "loop", times: 2 + below(3), body: inner() };
  });
}

function text(steps: Steps, indent: string): string {
  return steps
    .map((step, index) => {
      switch (step.kind) {
        case "load":
          return step.type === "u64"
            ? `${indent}{ const wide = load<u64>(at, ${step.offset}); h = mix(h, <u32>wide ^ <u32>(wide >> 32)); }\n`
            : `${indent}h = mix(h, <u32>load<${step.type}>(at, ${step.offset}));\n`;
        case "store":
          return step.type === "u64"
            ? `${indent}store<u64>(at, (<u64>h << 32) | <u64>h, ${step.offset});\n`
            : `${indent}store<${step.type}>(at, <${step.type}>h, ${step.offset});\n`;
        case "leave":
          return `${indent}if ((h & ${step.mask}) == 0) return h;\n`;
        case "branch":
          return `${indent}if ((h & ${step.mask}) != 0) {\n${text(step.yes, `${indent}  `)}${indent}} else {\n${text(step.no, `${indent}  `)}${indent}}\n`;
        case "loop": {
          const counter = `n${indent.length}_${index}`;
          return `${indent}for (let ${counter} = 0; ${counter} < ${step.times}; ++${counter}) {\n${text(step.body, `${indent}  `)}${indent}}\n`;
        }
        case "move":
          return `${indent}at += ${step.by};\n`;
        case "chase":
          return `${indent}at = <usize>(load<u32>(at, ${step.offset}) & 0xff);\n`;
        default:
          return `${indent}h = called(h);\n`;
      }
    })
    .join("");
}
