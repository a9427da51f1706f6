/**
 * Random AssemblyScript programs for the oracle: the same module runs in Node and as native code, and both must compute the same or
 * trap the same way. A program takes a seed, works on locals of all four types and on a piece of memory, and returns a hash.
 *
 * NaNs have no one bit pattern in WebAssembly, so nothing looks at a NaN's bits or sign: floats become bits, and the sign of
 * copysign, through `canon`. Memory is touched inside the app's arena or beyond 64 KiB, where every board traps; between the
 * two a board with a smaller arena may trap where Node does not.
 */
import type { Random } from "../../host/io/seams.ts";

type Kind = "i32" | "i64" | "f32" | "f64";
const KINDS: readonly Kind[] = ["i32", "i64", "f32", "f64"];

/** Values where implementations go wrong. */
const EDGES: Readonly<Record<Kind, readonly string[]>> = {
  i32: [
    "0",
    "1",
    "-1",
    "2",
    "31",
    "32",
    "255",
    "0x7fffffff",
    "<i32>0x80000000",
    "65535",
    "-65536",
    "0x12345678",
  ],
  i64: [
    "0",
    "1",
    "-1",
    "63",
    "64",
    "0x7fffffffffffffff",
    "i64.MIN_VALUE",
    "0xffffffff",
    "0x100000000",
    "-4294967296",
    "0x123456789abcdef",
  ],
  f32: [
    "0.0",
    "-0.0",
    "1.0",
    "-1.5",
    "<f32>1.0e-45",
    "<f32>1.1754944e-38",
    "<f32>3.4028235e38",
    "<f32>Infinity",
    "<f32>-Infinity",
    "<f32>NaN",
    "16777217.0",
    "0.1",
    "2147483648.0",
    "-2147483648.0",
  ],
  f64: [
    "0.0",
    "-0.0",
    "1.0",
    "-2.5",
    "5.0e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "Infinity",
    "-Infinity",
    "NaN",
    "9007199254740993.0",
    "0.1",
    "9223372036854775807.0",
    "4294967295.5",
    "0.49999999999999994",
  ],
};
const SCRATCH_BYTES = 256;
const DEPTH = 4;

class Program {
  readonly #random: Random;
  readonly #helpers: number;
  #loops = 0;

  constructor(random: Random, helpers: number) {
    this.#random = random;
    this.#helpers = helpers;
  }

  #below(bound: number): number {
    return this.#random.u32() % bound;
  }
  #pick<T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }
  #chance(percent: number): boolean {
    return this.#below(100) < percent;
  }

  expression(kind: Kind, depth = DEPTH): string {
    if (depth === 0 || this.#chance(15)) return this.#leaf(kind);
    const of = (other: Kind = kind) => this.expression(other, depth - 1);
    if (this.#chance(12)) return `select<${kind}>(${of()}, ${of()}, ${this.condition(depth - 1)})`;
    if (this.#chance(8)) return `load<${kind}>(${this.#address(depth - 1, kind)})`;
    if (this.#helpers > 0 && this.#chance(6)) return this.#call(kind, depth);
    return kind === "i32" || kind === "i64" ? this.#integer(kind, depth) : this.#float(kind, depth);
  }

  #leaf(kind: Kind): string {
    return this.#chance(35) ? `(<${kind}>(${this.#pick(EDGES[kind])}))` : `${kind}${this.#below(3)}`;
  }

  #call(kind: Kind, depth: number): string {
    const call = `helper${this.#below(this.#helpers)}(${this.expression("i32", depth - 1)}, ${this.expression("f64", depth - 1)})`;
    return kind === "i64" ? call : kind === "i32" ? `<i32>${call}` : `<${kind}>${call}`;
  }

  #integer(kind: "i32" | "i64", depth: number): string {
    const of = (other: Kind = kind) => this.expression(other, depth - 1);
    const unsigned = kind === "i32" ? "u32" : "u64";
    switch (this.#below(14)) {
      case 0:
        return `(${of()} + ${of()})`;
      case 1:
        return `(${of()} - ${of()})`;
      case 2:
        return `(${of()} * ${of()})`;
      case 3:
        return `(${of()} ${this.#pick(["&", "|", "^"])} ${of()})`;
      case 4:
        return `(${of()} ${this.#pick(["<<", ">>", ">>>"])} ${of()})`;
      case 5:
        return `${this.#pick(["rotl", "rotr"])}<${kind}>(${of()}, ${of()})`;
      case 6:
        return `${this.#pick(["clz", "ctz", "popcnt"])}<${kind}>(${of()})`;
      case 7: {
        // Seldom by what may be zero: a trap hides everything after it.
        const divisor = this.#chance(99) ? `(${of()} | 1)` : of();
        return `(${of()} ${this.#pick(["/", "%"])} ${divisor})`;
      }
      case 8: {
        const divisor = this.#chance(99) ? `(<${unsigned}>${of()} | 1)` : `<${unsigned}>${of()}`;
        return `<${kind}>(<${unsigned}>${of()} ${this.#pick(["/", "%"])} ${divisor})`;
      }
      case 9:
        return kind === "i32"
          ? `<i32>${of("i64")}`
          : this.#pick([`<i64>${of("i32")}`, `<i64><u32>${of("i32")}`]);
      case 10:
        return `<${kind}>${this.condition(depth - 1)}`;
      case 11:
        return kind === "i32"
          ? `reinterpret<i32>(canonF(${of("f32")}))`
          : `reinterpret<i64>(canon(${of("f64")}))`;
      case 12: {
        const from = this.#pick(["f32", "f64"] as const);
        // Mostly inside the range of the integer.
        const value = this.#chance(99) ? `clamp${from === "f32" ? "F" : ""}(${of(from)})` : of(from);
        return this.#chance(50) ? `<${kind}>${value}` : `<${kind}><${unsigned}>abs<${from}>(${value})`;
      }
      default:
        return `<${kind}>${this.#pick(kind === "i32" ? ["<i8>", "<i16>", "<u8>", "<u16>"] : ["<i8>", "<i16>", "<i32>", "<u32>"])}${of()}`;
    }
  }

  #float(kind: "f32" | "f64", depth: number): string {
    const of = (other: Kind = kind) => this.expression(other, depth - 1);
    switch (this.#below(11)) {
      case 0:
        return `(${of()} + ${of()})`;
      case 1:
        return `(${of()} - ${of()})`;
      case 2:
        return `(${of()} * ${of()})`;
      case 3:
        return `(${of()} / ${of()})`;
      case 4:
        return `${this.#pick(["min", "max"])}<${kind}>(${of()}, ${of()})`;
      case 5:
        return `${this.#pick(["abs", "floor", "ceil", "trunc", "nearest"])}<${kind}>(${of()})`;
      case 6:
        return `sqrt<${kind}>(${this.#chance(70) ? `abs<${kind}>(${of()})` : of()})`;
      case 7:
        return `copysign<${kind}>(${of()}, canon${kind === "f32" ? "F" : ""}(${of()}))`;
      case 8:
        return this.#pick([
          `<${kind}>${of("i32")}`,
          `<${kind}>${of("i64")}`,
          `<${kind}><u32>${of("i32")}`,
          `<${kind}><u64>${of("i64")}`,
        ]);
      case 9:
        return kind === "f32" ? `<f32>${of("f64")}` : `<f64>${of("f32")}`;
      default:
        return `(-${of()})`;
    }
  }

  condition(depth: number): string {
    const kind = this.#pick(KINDS);
    const compare = this.#pick(["==", "!=", "<", "<=", ">", ">="]);
    // In parentheses: a name before `<` may be read as the beginning of a generic call.
    return `((${this.expression(kind, Math.max(0, depth))}) ${compare} ${this.expression(kind, Math.max(0, depth))})`;
  }

  /** Inside the scratch memory, aligned or not; seldom beyond 64 KiB. */
  #address(depth: number, kind: Kind): string {
    const index = this.expression("i32", Math.max(0, depth - 1));
    if (this.#below(400) === 0) return `<usize>(65536 + (${index} & 0xffff))`;
    const bytes = kind === "i32" || kind === "f32" ? 4 : 8;
    return `scratch + <usize>((${index} & ${SCRATCH_BYTES - 1}) % ${SCRATCH_BYTES - bytes + 1})`;
  }

  statements(count: number, indent: string): string {
    return Array.from({ length: count }, () => this.#statement(indent)).join("");
  }

  #statement(indent: string): string {
    const kind = this.#pick(KINDS);
    const inner = `${indent}  `;
    switch (this.#below(8)) {
      case 0:
        return `${indent}if ${this.condition(2)} {\n${this.statements(1, inner)}${indent}} else {\n${this.statements(1, inner)}${indent}}\n`;
      case 1: {
        if (this.#loops >= 2) return `${indent}${kind}0 = ${this.expression(kind)};\n`;
        this.#loops += 1;
        const counter = `n${this.#loops}`;
        const text = `${indent}for (let ${counter} = 0; ${counter} < ${2 + this.#below(4)}; ++${counter}) {\n${this.statements(2, inner)}${indent}}\n`;
        this.#loops -= 1;
        return text;
      }
      case 2: {
        const value = this.expression(kind, 3);
        const stored = kind === "f32" ? `canonF(${value})` : kind === "f64" ? `canon(${value})` : value;
        const narrow = kind === "i32" && this.#chance(40) ? this.#pick(["u8", "u16"]) : kind;
        return `${indent}store<${narrow}>(${this.#address(2, kind)}, <${narrow}>${stored});\n`;
      }
      default:
        return `${indent}${kind}${this.#below(3)} = ${this.expression(kind)};\n`;
    }
  }
}

const LOCALS = KINDS.flatMap((kind) => [0, 1, 2].map((index) => `${kind}${index}`));

/** Source of an app with that many programs; the command `run {program, seed}` answers with the hash of one. */
export function randomPrograms(random: Random, count: number): string {
  const helpers = 3;
  const functions: string[] = [];
  for (let index = 0; index < helpers; index += 1) {
    const program = new Program(random, 0);
    functions.push(
      `function helper${index}(i32_in: i32, f64_in: f64): i64 {\n${declarations()}  i32_0 = i32_in;\n  f64_0 = f64_in;\n${rename(program.statements(2, "  "))}  return ${rename(program.expression("i64"))};\n}\n`,
    );
  }
  for (let index = 0; index < count; index += 1) {
    const program = new Program(random, helpers);
    functions.push(
      `function program${index}(seed: u32): u64 {\n${declarations()}  fill(seed);\n${LOCALS.map((name) => `  ${rename(name)} = ${name.slice(0, 3) === "i32" ? "<i32>draw()" : name.slice(0, 3) === "i64" ? "draw()" : name.slice(0, 3) === "f32" ? "canonF(reinterpret<f32>(<u32>draw()))" : "canon(reinterpret<f64>(draw()))"};\n`).join("")}${rename(program.statements(6, "  "))}  let hash: u64 = 0xcbf29ce484222325;\n${LOCALS.map((name) => `  hash = mix(hash, ${bits(name)});\n`).join("")}  for (let at = 0; at < ${SCRATCH_BYTES}; at += 8) hash = mix(hash, load<u64>(scratch + <usize>at));\n  return hash;\n}\n`,
    );
  }
  const cases = Array.from(
    { length: count },
    (_, index) => `    case ${index}:\n      return program${index}(seed);\n`,
  ).join("");
  return `${PRELUDE}${functions.join("\n")}
function dispatch(program: i32, seed: u32): u64 {
  switch (program) {
${cases}    default:
      return 0;
  }
}
${EPILOGUE}`;
}

/** Locals are i32_0 … f64_2 in the source: a name of the type with a number would be the type's own. */
function rename(text: string): string {
  return text.replace(/\b(i32|i64|f32|f64)([0-2])\b/g, "$1_$2");
}
function declarations(): string {
  return LOCALS.map((name) => {
    const kind = name.slice(0, 3);
    return `  let ${rename(name)}: ${kind} = ${kind.startsWith("f") ? "0.0" : "0"};\n`;
  }).join("");
}
function bits(name: string): string {
  const own = rename(name);
  const kind = name.slice(0, 3);
  if (kind === "i64") return `<u64>${own}`;
  if (kind === "i32") return `<u64><u32>${own}`;
  return kind === "f32" ? `<u64>reinterpret<u32>(canonF(${own}))` : `reinterpret<u64>(canon(${own}))`;
}

const PRELUDE = `import { Args, onCommand } from "tardigrade/firmware";

const scratch: usize = memory.data(${SCRATCH_BYTES}, 8);
let state: u64 = 1;

function draw(): u64 {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1d;
}
function fill(seed: u32): void {
  state = (<u64>seed << 1) | 1;
  for (let at = 0; at < ${SCRATCH_BYTES}; at += 8) store<f64>(scratch + <usize>at, canon(reinterpret<f64>(draw())));
}
function mix(hash: u64, value: u64): u64 {
  return (hash ^ value) * 0x100000001b3;
}
function canon(value: f64): f64 {
  return isNaN(value) ? reinterpret<f64>(<u64>0x7ff8000000000000) : value;
}
function canonF(value: f32): f32 {
  return isNaN(value) ? reinterpret<f32>(<u32>0x7fc00000) : value;
}
function clamp(value: f64): f64 {
  return isNaN(value) ? 0 : min<f64>(max<f64>(value, -2147483648.0), 2147483647.0);
}
function clampF(value: f32): f32 {
  return isNaN(value) ? 0 : min<f32>(max<f32>(value, -1073741824.0), 1073741824.0);
}

`;
const EPILOGUE = `
/** Answers with 48 bits of the hash: an answer is a binary64. */
function run(args: Args): i32 {
  const hash = dispatch(<i32>args.number("program", 0), <u32>args.number("seed", 0));
  args.answer(<f64>((hash ^ (hash >> 48)) & 0xffffffffffff));
  return 0;
}

export function setup(): void {
  onCommand("run", run);
}
`;
