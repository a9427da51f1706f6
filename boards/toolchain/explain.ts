/**
 * Compiler messages for people who know TypeScript and not AssemblyScript: what to write instead. A message that is not in the
 * table is passed on as the compiler said it.
 */
import type { ErrorCode } from "../../protocols/table.ts";
import type { Diagnostic } from "./compile.ts";

export interface Explained extends Diagnostic {
  readonly error: ErrorCode;
  /** What to write instead; empty when the compiler's own message says it. */
  readonly advice: string;
}

interface Rule {
  readonly matches: (diagnostic: Diagnostic) => boolean;
  readonly error: ErrorCode;
  readonly advice: (diagnostic: Diagnostic) => string;
}

/** Types that TypeScript has and AssemblyScript has not. */
const TYPES: Readonly<Record<string, string>> = {
  any: "Name the type: f64 or i32 for a number, bool, a class of your own.",
  unknown: "Name the type: f64 or i32 for a number, bool, a class of your own.",
  never: "A function that does not return has the type void.",
  undefined: "Use a number or a bool that says whether there is a value; NaN serves for a missing reading.",
  object: "Declare a class with typed fields.",
  symbol: "Use a constant number.",
  bigint: "Use i64 or u64.",
  Promise: "Nothing waits on a device: set a timer with every(), or answer in onCommand().",
  Record: "Declare a class with one field a key, or use a StaticArray with constant indices.",
  Partial: "Declare a class with typed fields.",
  Date: "Use now(): microseconds since boot; the gateway knows the calendar.",
  RegExp: "Compare characters yourself; patterns belong on the gateway.",
};

const name = (diagnostic: Diagnostic): string => /'([^']+)'/.exec(diagnostic.message)?.[1] ?? "";

/** Syntax errors have numbers below this one. */
const SEMANTIC_ERRORS_FROM = 2000;

const RULES: readonly Rule[] = [
  {
    matches: ({ code, excerpt }) => code < SEMANTIC_ERRORS_FROM && /\b(async|await)\b/.test(excerpt),
    error: "BUILD_TYPE",
    advice: () => TYPES.Promise as string,
  },
  {
    matches: ({ message }) => /'<object>'|'auto'/.test(message),
    error: "BUILD_TYPE",
    advice: () => "Declare a class, create it at top level or in setup(), and set its fields.",
  },
  {
    matches: ({ message }) => /closure/i.test(message),
    error: "BUILD_CLOSURE",
    advice: () =>
      "A function on a device cannot use the variables of the function around it. Make the variable a top-level `let`, and pass a top-level function as callback.",
  },
  {
    matches: (diagnostic) => /^(setTimeout|setInterval)$/.test(name(diagnostic)),
    error: "BUILD_TYPE",
    advice: () => "Use every(periodMs, callback) in setup().",
  },
  {
    matches: ({ message }) => /has no exported member/.test(message),
    error: "BUILD_IMPORT",
    advice: () => 'See what "tardigrade/firmware" exports in docs/firmware.md.',
  },
  {
    matches: ({ message }) =>
      /^(File|Module) '.*' (not found|cannot be found)/.test(message) || /not found\.$/.test(message),
    error: "BUILD_IMPORT",
    advice: (diagnostic) => importAdvice(name(diagnostic)),
  },
  {
    matches: (diagnostic) =>
      /^Cannot find name/.test(diagnostic.message) && TYPES[name(diagnostic)] !== undefined,
    error: "BUILD_TYPE",
    advice: (diagnostic) => TYPES[name(diagnostic)] ?? "",
  },
  {
    matches: ({ message }) => /async|await/i.test(message),
    error: "BUILD_TYPE",
    advice: () => TYPES.Promise as string,
  },
  {
    matches: ({ message }) => /union|'\|'/i.test(message),
    error: "BUILD_TYPE",
    advice: () =>
      "A variable has one type on a device. Use a number with a meaning of your own, or two variables.",
  },
  {
    matches: ({ message }) =>
      /^Not implemented: (Object literal|.*spread)/i.test(message) || /Object literal/.test(message),
    error: "BUILD_TYPE",
    advice: () => "Declare a class, create it in setup(), and set its fields.",
  },
  {
    matches: ({ message }) => /exceptions|try|throw/i.test(message),
    error: "BUILD_TYPE",
    advice: () =>
      "Nothing throws on a device: functions return a status, 0 or a negative error code. reportError() tells the fleet.",
  },
  {
    matches: ({ message }) => /not assignable to type|Conversion from type/.test(message),
    error: "BUILD_FAILED",
    advice: () =>
      "Numbers have sizes here (i32, u32, u64, f64). Convert where you mean it: f64(count), i32(value).",
  },
];

function importAdvice(path: string): string {
  if (path.includes("node:") || /\b(fs|path|os|http|net|crypto)\b/.test(path)) {
    return 'A device has no Node modules. Pins, ADC, telemetry, shadow and commands come from "tardigrade/firmware".';
  }
  return 'An app imports "tardigrade/firmware" and AssemblyScript files beside it (./name). npm packages for Node do not run on a device.';
}

/** What the compiler lets through as an import of the outside world, and a device does not have. */
const OUTSIDE: readonly (readonly [prefix: string, advice: string])[] = [
  [
    "console.",
    'There is no console on a device. Write line("text ").number(value, 1).info() from "tardigrade/firmware".',
  ],
  ["Date.", TYPES.Date as string],
  ["seed", 'Use random() from "tardigrade/firmware": Math.random needs a seed that a device does not have.'],
  ["performance.", "Use exactNow(): microseconds since boot."],
  ["process.", "A device has no process. What an app needs to know comes through its shadow."],
];

/** Advice for an import that is none of the system's. */
export function outsideAdvice(importName: string): string {
  const row = OUTSIDE.find(([prefix]) => importName.startsWith(prefix));
  return row?.[1] ?? 'An app calls what "tardigrade/firmware" exports; docs/firmware.md lists it.';
}

export function explain(diagnostic: Diagnostic): Explained {
  const rule = RULES.find((candidate) => candidate.matches(diagnostic));
  return { ...diagnostic, error: rule?.error ?? "BUILD_FAILED", advice: rule?.advice(diagnostic) ?? "" };
}

/** One diagnostic as lines for a terminal. */
export function formatExplained({ file, line, column, code, message, advice }: Explained): string {
  const where = `${file}:${line}:${column}`;
  return `${where}  ${message}${code ? ` (${code})` : ""}${advice ? `\n  ${advice}` : ""}`;
}
