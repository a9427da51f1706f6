/**
 * wasm2c's C, made fit for a microcontroller: one instance with a static arena. wasm2c's prologue gives way to
 * firmware/port/wasm/module.h, the instance pointer that it hands to every function disappears, the data segments become one
 * constant, the function table becomes a constant, and only functions that can be on a cycle of calls check the stack.
 *
 * Nothing may slip through: the prologue is compared with the one this was written for, an unknown construct is an error, and
 * every memory instruction of the module must be found again as an access of module.h.
 */
import { createHash } from "node:crypto";
import { TardigradeError } from "../../../protocols/error.ts";
import { withBases } from "./bases.ts";
import type { WasmFacts } from "./wasm-facts.ts";

/** SHA-256 of the prologue of wabt 1.0.39, which module.h replaces; another one must be read before it is replaced. */
const PROLOGUE_SHA256 = "a815f2bdead85e88a37ca1d49f9373bc5d93cb8f7af9737f7ecbc5eaf453a549";

export interface TranslateOptions {
  /** wasm2c's .c and .h. */
  readonly c: string;
  readonly header: string;
  readonly facts: WasmFacts;
  /** Name of the module, as given to wasm2c; its functions are called that way in C. */
  readonly module: string;
  readonly arenaBytes: number;
  /** Section of the arena in the image. */
  readonly arenaSection: string;
  /** First byte that instantiation leaves alone: what a warm reset keeps. The arena's end when nothing is. */
  readonly clearedBytes: number;
  /** True for an app: it may be wrong, so its accesses and its stack are checked. */
  readonly checked: boolean;
}

interface CFunction {
  readonly name: string;
  readonly signature: string;
  readonly body: string;
  readonly calls: ReadonlySet<string>;
  readonly callsIndirectly: boolean;
}

interface TableEntry {
  readonly type: string;
  readonly name: string;
}

const broken = (what: string) =>
  new TardigradeError("BUILD_FAILED", `The C of wasm2c is not what this toolchain knows: ${what}.`);

export interface Translated {
  readonly c: string;
  /** Declarations of what the module exports, and of what it imports. */
  readonly exportsHeader: string;
  readonly importsHeader: string;
}

export function translate(options: TranslateOptions): Translated {
  const { module, facts } = options;
  const own = `w2c_${module}`;
  const body = withoutPrologue(options.c, own);
  const functions = functionsOf(body, own);
  const table = tableOf(body);
  const recursive = options.checked ? recursiveOf(functions, table) : new Set<string>();
  const hot = calledInLoops(functions);
  const checkedBytes = options.checked ? options.arenaBytes : undefined;
  const code = functions
    .map((one) => functionText(one, own, recursive.has(one.name), hot.has(one.name), checkedBytes))
    .join("\n");
  checkAccesses(code, facts);
  const types = [...new Set(body.match(new RegExp(`\\b${own}_t\\d+\\b`, "g")) ?? [])];
  const text = [
    `#define MODULE_ARENA ${module}_arena`,
    `#define MODULE_ARENA_BYTES ${options.arenaBytes}`,
    `#define MODULE_ARENA_SECTION "${options.arenaSection}"`,
    `#define MODULE_CHECKED ${options.checked ? 1 : 0}`,
    '#include "wasm/module.h"',
    "",
    importsOf(options.header, module),
    structOf(options.header),
    types.length === 0 ? "" : `enum { ${types.map((type, index) => `${type} = ${index + 1}`).join(", ")} };`,
    functions.map(({ signature }) => `${signature};`).join("\n"),
    tableText(table, tableSize(body)),
    code,
    instantiateText(options),
    "",
  ].join("\n");
  const left = /\binstance\b|wasm_rt_\w+|w2c_\w+_instance|\bw2c_memory\b/.exec(text);
  if (left) throw broken(`"${left[0]}" is left over in "${text.slice(left.index - 60, left.index + 60)}"`);
  const named = (c: string) =>
    c.replaceAll(`w2c_${module}_`, `${module}_`).replace(/\bw2c_(hal|tardi)_(?:hal_)?/g, "$1_");
  const exported = functions.filter(({ signature }) => !signature.startsWith("static"));
  const header = (lines: string) =>
    `#pragma once\n#include <stdint.h>\n${named(lines)
      .replace(/\b([us])(8|16|32|64)\b/g, (_all, sign, bits) => `${sign === "u" ? "u" : ""}int${bits}_t`)
      .replace(/\bf32\b/g, "float")
      .replace(/\bf64\b/g, "double")}\n`;
  return {
    c: named(text),
    exportsHeader: header(
      [
        `extern u8 ${module}_arena[];`,
        `void ${module}_instantiate(void);`,
        ...exported.map(({ signature }) => `${signature};`),
      ].join("\n"),
    ),
    importsHeader: header(importsOf(options.header, module)),
  };
}

function withoutPrologue(c: string, own: string): string {
  const start = c.search(new RegExp(`^(?:static [a-z0-9]+ ${own}_\\w+\\(|FUNC_TYPE_T\\()`, "m"));
  if (start < 0) throw broken("it declares no function");
  const prologue = c.slice(0, start).replace(/#include "[^"]+"\n/, "");
  const digest = createHash("sha256").update(prologue).digest("hex");
  if (digest !== PROLOGUE_SHA256) throw broken(`its prologue has the digest ${digest}`);
  return c.slice(start);
}

/** Functions of the module and the exports around them. Types, segments and instantiation are made anew instead. */
function functionsOf(body: string, own: string): readonly CFunction[] {
  const isStatic = new Set(
    [...body.matchAll(new RegExp(`^static \\w+ (${own}_\\w+)\\(.*\\);$`, "gm"))].map((m) => m[1]),
  );
  const found: CFunction[] = [];
  for (const match of body.matchAll(
    new RegExp(`^(?:static )?(\\w+ (${own}_\\w+)\\([^;{]*\\)) \\{\\n([^]*?)^\\}\\n`, "gm"),
  )) {
    const [, signature, name, lines] = match as unknown as [string, string, string, string];
    found.push({
      name,
      signature: withoutInstance(`${isStatic.has(name) ? "static " : ""}${signature}`, own),
      body: withoutConditionals(lines),
      calls: new Set(
        [...lines.matchAll(new RegExp(`\\b(${own}_\\w+)\\(`, "g"))].map((call) => call[1] as string),
      ),
      callsIndirectly: lines.includes("CALL_INDIRECT("),
    });
  }
  return found;
}

/** All of them concern segment registers of x86. */
function withoutConditionals(lines: string): string {
  let depth = 0;
  const kept: string[] = [];
  for (const line of lines.split("\n")) {
    if (line.startsWith("#if")) depth += 1;
    else if (line.startsWith("#endif")) depth -= 1;
    else if (line.startsWith("#")) throw broken(line);
    else if (depth === 0) kept.push(line);
  }
  return kept.join("\n");
}

function withoutInstance(text: string, own: string): string {
  return text
    .replaceAll(`${own}* instance, `, "")
    .replaceAll(`${own}* instance)`, "void)")
    .replace(new RegExp(`\\b(${own}_\\w+)\\(instance(?:, )?`, "g"), "$1(")
    .replace(/\b(w2c_\w+)\(instance->w2c_\w+_instance(?:, )?/g, "$1(");
}

function functionText(
  one: CFunction,
  own: string,
  recursive: boolean,
  isHot: boolean,
  checkedBytes: number | undefined,
): string {
  const body = withoutInstance(one.body, own)
    .replace(/\bFUNC_PROLOGUE;/, recursive ? "STACK_CHECK;" : "")
    .replace(/^ *FUNC_EPILOGUE;\n/gm, "")
    .replace(
      /\b([if]\d\d_(?:load|store)\w*?)_default32\(&instance->w2c_memory, \(u64\)\((\w+)\)(?: \+ (\d+)u?)?/g,
      "$1($2 + $3u",
    )
    .replace(/ \+ u/g, "")
    .replace(/\bmemory_copy\(&instance->w2c_memory, &instance->w2c_memory, /g, "memory_copy(")
    .replace(/\bmemory_fill\(&instance->w2c_memory, /g, "memory_fill(")
    .replace(
      /CALL_INDIRECT\(instance->w2c_T0, (\w+) \(\*\)\(void\*(?:, )?([^)]*)\), (\w+), (\w+), instance->w2c_T0\.data\[\w+\]\.module_instance(?:, )?/g,
      (_all, result: string, parameters: string, type: string, index: string) =>
        `((${result} (*)(${parameters || "void"}))callee(${index}, ${type}))(`,
    )
    .replaceAll("instance->w2c_memory.pages", "1u")
    .replace(/\bwasm_rt_grow_memory\(&instance->w2c_memory, /g, "memory_grow(")
    .replace(/\binstance->/g, "module.");
  const parameters = [...one.signature.matchAll(/\bvar_p\d+\b/g)].map(([name]) => name);
  const based = checkedBytes === undefined ? body : withBases(body, parameters, checkedBytes);
  return `${one.signature} {\n${heated(based, isHot)}}\n`;
}

/** Lines of a body that stand in a loop: from its label to the last jump back to it. */
function loopLines(body: string): readonly boolean[] {
  const lines = body.split("\n");
  const hot = new Array<boolean>(lines.length).fill(false);
  lines.forEach((line, from) => {
    const label = /^ *(var_L\d+):/.exec(line)?.[1];
    if (label === undefined) return;
    const to = lines.findLastIndex((other) => new RegExp(`goto ${label};`).test(other));
    if (to > from) hot.fill(true, from, to + 1);
  });
  return hot;
}

/** Functions that a loop calls, and those that these call: their accesses are in a loop too. */
function calledInLoops(functions: readonly CFunction[]): ReadonlySet<string> {
  const byName = new Map(functions.map((one) => [one.name, one]));
  const hot = new Set<string>();
  const queue = functions.flatMap(({ body }) => {
    const inLoop = loopLines(body);
    const text = body
      .split("\n")
      .filter((_, index) => inLoop[index])
      .join("\n");
    return [...text.matchAll(/\b(w2c_\w+)\(/g)].map((call) => call[1] as string);
  });
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const one = byName.get(name);
    if (one === undefined || hot.has(name)) continue;
    hot.add(name);
    queue.push(...one.calls);
  }
  return hot;
}

/** Accesses that run often, in line. */
function heated(body: string, isHot: boolean): string {
  const inLoop = loopLines(body);
  return body
    .split("\n")
    .map((line, index) =>
      isHot || inLoop[index] ? line.replace(/\b([if]\d\d_(?:load|store)\w*\()/g, "hot_$1") : line,
    )
    .join("\n");
}

/** Each load and store of the module, once, as one that module.h checks. */
function checkAccesses(code: string, facts: WasmFacts): void {
  const accesses = (code.match(/\b(?:hot_|near_)?[if](?:32|64)_(?:load|store)\w*\(/g) ?? []).length;
  if (accesses !== facts.accesses)
    throw broken(`the module has ${facts.accesses} memory accesses, its translation ${accesses}`);
  const bulk = (code.match(/\bmemory_(?:copy|fill)\(/g) ?? []).length;
  if (bulk !== facts.bulkOperations)
    throw broken(`the module has ${facts.bulkOperations} bulk operations, its translation ${bulk}`);
}

/** Functions that a chain of calls can enter again; an indirect call may enter any function of the table. */
function recursiveOf(
  functions: readonly CFunction[],
  table: ReadonlyMap<number, TableEntry>,
): ReadonlySet<string> {
  const byName = new Map(functions.map((one) => [one.name, one]));
  const indirect = [...table.values()].map(({ name }) => name);
  const callees = (name: string): readonly string[] => {
    const one = byName.get(name);
    return one === undefined ? [] : [...one.calls, ...(one.callsIndirectly ? indirect : [])];
  };
  const reaches = (from: string): boolean => {
    const seen = new Set<string>();
    const queue = [...callees(from)];
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      if (name === from) return true;
      if (seen.has(name)) continue;
      seen.add(name);
      queue.push(...callees(name));
    }
    return false;
  };
  return new Set(functions.map(({ name }) => name).filter(reaches));
}

function tableOf(body: string): ReadonlyMap<number, TableEntry> {
  const table = new Map<number, TableEntry>();
  const inits = [
    ...body.matchAll(
      /funcref_table_init\(&instance->w2c_T0, elem_segment_exprs_(\w+), (\d+), (\d+)u, 0, \d+, instance\);/g,
    ),
  ];
  if (inits.length !== (body.match(/funcref_table_init\(/g) ?? []).length) throw broken("a table segment");
  for (const [, segment, count, at] of inits) {
    const exprs =
      new RegExp(`elem_segment_exprs_${segment}\\[\\] = \\{\\n([^]*?)^\\};`, "m").exec(body)?.[1] ?? "";
    const entries = [
      ...exprs.matchAll(/\{RefFunc, (\w+), \(wasm_rt_function_ptr_t\)(?:wrap_)?(\w+), \{NULL\}, 0\}/g),
    ];
    if (entries.length !== Number(count)) throw broken("a table entry");
    entries.forEach((entry, index) => {
      table.set(Number(at) + index, { type: entry[1] as string, name: entry[2] as string });
    });
  }
  return table;
}

function tableSize(body: string): number {
  return Number(/wasm_rt_allocate_funcref_table\(&instance->w2c_T0, (\d+), \d+\)/.exec(body)?.[1] ?? 0);
}

function tableText(table: ReadonlyMap<number, TableEntry>, size: number): string {
  if (size === 0) return "";
  const rows = [...table].map(
    ([index, { type, name }]) => `  [${index}] = {(wasm_function)${name}, ${type}},`,
  );
  return [
    `static const struct table_entry table[${size}] = {`,
    ...rows,
    "};",
    "static MAYBE_UNUSED wasm_function callee(u32 index, u32 type) {",
    `  if (UNLIKELY(index >= ${size} || table[index].type != type)) TRAP(CALL_INDIRECT);`,
    "  return table[index].function;",
    "}",
  ].join("\n");
}

/** Imported functions; the struct that wasm2c passes to each of them is nobody's. */
function importsOf(header: string, module: string): string {
  const declared = [
    ...header.matchAll(/^\/\* import: .* \*\/\n(\w+ w2c_\w+)\(struct w2c_\w+\*(?:, )?(.*)\);$/gm),
  ];
  if (declared.length !== (header.match(/^\/\* import: /gm) ?? []).length)
    throw broken(`an import of ${module}`);
  return declared.map((match) => `${match[1]}(${match[2] || "void"});`).join("\n");
}

function structOf(header: string): string {
  const fields = [...header.matchAll(/^ {2}([uf](?:32|64) w2c_\w+);$/gm)].map((match) => `  ${match[1]};`);
  return fields.length === 0 ? "" : `static struct {\n${fields.join("\n")}\n} module;`;
}

/** Memory and globals as they are before `start`. */
function instantiateText({ module, facts, clearedBytes, header }: TranslateOptions): string {
  const globals = [...header.matchAll(/^ {2}[uf](?:32|64) (w2c_\w+);$/gm)].map((match) => match[1] as string);
  if (globals.length !== facts.globals.length) throw broken("a global");
  const set = globals.flatMap((name, index) => {
    const value = facts.globals[index] as string;
    return /^(?:0u|0ull|0x0p\+0f?)$/.test(value) ? [] : [`  module.${name} = ${value};`];
  });
  const { base, bytes } = facts.data;
  return [
    bytes.length === 0 ? "" : `static const u8 initial[] = {${[...bytes].join(",")}};`,
    `void w2c_${module}_instantiate(void) {`,
    `  memset(arena, 0, ${clearedBytes});`,
    bytes.length === 0 ? "" : `  memcpy(arena + ${base}, initial, sizeof initial);`,
    globals.length === 0 ? "" : "  memset(&module, 0, sizeof module);",
    ...set,
    "}",
  ]
    .filter((line) => line !== "")
    .join("\n");
}
