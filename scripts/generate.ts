/**
 * Writes what both languages derive from protocols/table.ts. `--check` writes nothing and exits 1 when a file is stale.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CAPABILITIES,
  CATEGORIES,
  ERRORS,
  type ErrorRow,
  type Field,
  LIMITS,
  MESSAGES,
  type MessageRow,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  RECOVERIES,
  SEVERITIES,
  TRAP_KINDS,
} from "../protocols/table.ts";

const ROOT = join(import.meta.dirname, "..");
const BANNER = "// Generated from protocols/table.ts by `npm run generate`. Do not edit.\n";

/** Type numbers of the AssemblyScript schema rows; assembly/codec/token.ts draws them. */
const TYPE_NUMBERS = {
  uint: 1,
  int: 2,
  u64: 3,
  float: 4,
  bool: 5,
  text: 6,
  bytes: 7,
  value: 8,
  list: 9,
} as const;

export function generatedFiles(): Map<string, string> {
  return new Map([
    ["protocols/messages.generated.ts", typescript()],
    ["assembly/errors/codes.generated.ts", codes()],
    ["assembly/codec/limits.generated.ts", limits()],
    ["assembly/codec/schema.generated.ts", schema()],
    ["firmware/port/common/table.generated.h", cHeader()],
  ]);
}

/** What the C of the ports needs: statuses and kinds of trap. */
function cHeader(): string {
  const upper = (kind: string) => kind.toUpperCase().replaceAll("-", "_");
  const errors = Object.entries(ERRORS).filter(
    ([, row]) => row.category === "device" || row.number === ERRORS.QUEUE_FULL.number,
  );
  return [
    BANNER.trimEnd(),
    "#pragma once",
    ...errors.map(([name, row]) => `#define ERROR_${name} ${row.number}`),
    ...TRAP_KINDS.map((kind, number) => `#define TRAP_${upper(kind)} ${number}`),
    "",
  ].join("\n");
}

function typescript(): string {
  const pascal = (name: string) => name[0]?.toUpperCase() + name.slice(1);
  const types = {
    uint: "number",
    int: "number",
    u64: "bigint",
    float: "number",
    bool: "boolean",
    text: "string",
    bytes: "Uint8Array",
    value: "Value",
  };
  const member = (field: Field, indent: string): string => {
    const type =
      field.type === "list"
        ? `readonly {\n${(field.of ?? []).map((sub) => member(sub, `${indent}  `)).join("")}${indent}}[]`
        : types[field.type];
    return `${indent}/** ${field.doc} */\n${indent}readonly ${field.name}${field.optional ? "?" : ""}: ${type};\n`;
  };
  const rows: readonly MessageRow[] = MESSAGES;
  const kinds = rows.map((row) => `  ${row.name}: ${row.kind},\n`).join("");
  const interfaces = rows
    .map(
      (row) =>
        `/** ${row.doc} (${row.direction}) */\nexport interface ${pascal(row.name)} {\n  readonly kind: "${row.name}";\n${row.fields.map((field) => member(field, "  ")).join("")}}\n`,
    )
    .join("\n");
  return `${BANNER}
/** A shadow's, event's or command's value. */
export type Value = boolean | number | string;

export const KINDS = {\n${kinds}} as const;

export type Kind = keyof typeof KINDS;

${interfaces}
export type Message =\n${rows.map((row) => `  | ${pascal(row.name)}`).join("\n")};
`;
}

function codes(): string {
  const row = ([name, error]: [string, { number: number; help: string }]) =>
    `/** ${error.help} */\nexport const ${name}: i32 = ${error.number};\n`;
  const named = (prefix: string, names: readonly string[]) =>
    names.map((name, index) => `export const ${prefix}_${name.toUpperCase()}: u32 = ${index};\n`).join("");
  const facts = Object.values(ERRORS)
    .sort((a, b) => a.number - b.number)
    .map((error) => factsOf(error));
  return `${BANNER}
export const STATUS_OK: i32 = 0;

${Object.entries(ERRORS).map(row).join("")}
${named("SEVERITY", SEVERITIES)}
${named("CATEGORY", CATEGORIES)}export const CATEGORY_COUNT: u32 = ${CATEGORIES.length};

${named("RECOVERY", RECOVERIES)}
export const CODE_COUNT: i32 = ${facts.length};

/** Numbers rise: number << 6 | severity << 3 | recovery. Inside a function, so that the table is in no image that does not ask. */
export function codeRows(): usize {
  return memory.data<u16>([
${words(facts, 8).replaceAll(/^/gm, "  ").trimEnd()}
  ]);
}
`;
}

/** A category is its codes' hundred, so that it takes no room; a number has ten bits. */
function factsOf({ number, category, severity, recovery }: ErrorRow): number {
  const hundred = CATEGORIES.indexOf(category) + 1;
  if (Math.floor(number / 100) !== hundred || number > 1023) {
    throw new RangeError(`${number} is no number of the category ${category}: those begin with ${hundred}.`);
  }
  return (number << 6) | (SEVERITIES.indexOf(severity) << 3) | RECOVERIES.indexOf(recovery);
}

function words(list: readonly number[], width: number): string {
  let text = "";
  for (let at = 0; at < list.length; at += width) {
    text += `  ${list
      .slice(at, at + width)
      .map((word) => `0x${word.toString(16)}`)
      .join(", ")},\n`;
  }
  return text;
}

/** Apart from the schema, whose tables take room in every module that imports them. */
function limits(): string {
  const constants = Object.entries(LIMITS).map(([name, value]) => `export const ${name}: i32 = ${value};\n`);
  return `${BANNER}\n${constants.join("")}`;
}

function schema(): string {
  const rows: number[] = [];
  const kinds: number[] = [];
  const flatten = (fields: readonly Field[]): number => {
    const subs = fields.map((field) => (field.of ? flatten(field.of) : 0));
    const start = rows.length / 4;
    fields.forEach((field, index) => {
      const max = field.max ?? 0;
      const head =
        field.key |
        (TYPE_NUMBERS[field.type] << 8) |
        ((field.optional ? 1 : 0) << 16) |
        ((field.of?.length ?? 0) << 24);
      rows.push(head >>> 0, subs[index] ?? 0, max >>> 0, Math.floor(max / 2 ** 32));
    });
    return start;
  };
  for (const message of MESSAGES as readonly MessageRow[]) {
    const start = flatten(message.fields);
    kinds.push(message.kind, start, message.fields.length);
  }
  const kindNames = (MESSAGES as readonly MessageRow[])
    .map(
      (row) =>
        `export const KIND_${row.name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}: u32 = ${row.kind};\n`,
    )
    .join("");
  const capabilities = Object.entries(CAPABILITIES)
    .map(([name, bit]) => `export const CAPABILITY_${name.toUpperCase()}: u32 = 1 << ${bit};\n`)
    .join("");
  return `${BANNER}
export * from "./limits.generated";

export const PROTOCOL_MAJOR: u32 = ${PROTOCOL_MAJOR};
export const PROTOCOL_MINOR: u32 = ${PROTOCOL_MINOR};

${kindNames}
${capabilities}
/*
 * Schema rows, four u32 a field:
 *   word 0   key (bits 0-7) | type (8-15) | flags (16-23, bit 16 optional) | fields of a list's element (24-31)
 *   word 1   row where the element's fields begin
 *   word 2   max, low half      word 3   max, high half
 * Kind rows, three u32 a message: kind, first field row, field count. Kinds ascend.
 */
export const SCHEMA_ROWS: usize = memory.data<u32>([
${words(rows, 4)}]);

export const SCHEMA_KIND_COUNT: i32 = ${kinds.length / 3};

export const SCHEMA_KINDS: usize = memory.data<u32>([
${words(kinds, 3)}]);
`;
}

if (import.meta.main) {
  let stale = 0;
  for (const [path, text] of generatedFiles()) {
    const file = join(ROOT, path);
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
    stale += 1;
    if (process.argv.includes("--check")) console.error(`${path} is stale: run \`npm run generate\``);
    else writeFileSync(file, text);
  }
  if (process.argv.includes("--check") && stale > 0) process.exit(1);
  if (!process.argv.includes("--check")) console.error(`generate: ${stale} files written`);
}
