/**
 * What the commands write: results to standard output (a table, or JSON with --json), everything else to standard error. A
 * terminal gets colours and a line that rewrites itself; a pipe gets plain lines.
 */
import { isTardigradeError } from "../../protocols/error.ts";
import type { ErrorJson } from "../../protocols/error-json.ts";

const ESC = "\u001b[";
const colour = (code: number) => (text: string) =>
  (process.stderr.isTTY || process.stdout.isTTY) && !process.env.NO_COLOR
    ? `${ESC}${code}m${text}${ESC}0m`
    : text;

export const red = colour(31);
export const green = colour(32);
export const yellow = colour(33);
export const dim = colour(2);
export const bold = colour(1);

/** A line on standard error that says what takes time; `done` closes it. */
export function progress(text: string): { update(detail: string): void; done(detail?: string): void } {
  const tty = process.stderr.isTTY;
  const draw = (detail: string) =>
    process.stderr.write(`\r${ESC}2K${text}${detail ? ` ${dim(detail)}` : ""}`);
  if (tty) draw("");
  else process.stderr.write(`${text}\n`);
  return {
    update(detail) {
      if (tty) draw(detail);
    },
    done(detail = "") {
      if (tty) process.stderr.write(`\r${ESC}2K${green("✓")} ${text}${detail ? ` ${dim(detail)}` : ""}\n`);
      else if (detail) process.stderr.write(`${text}: ${detail}\n`);
    },
  };
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(
    `${JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item), 2)}\n`,
  );
}

/** Columns as wide as their content; numbers right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const text = rows.map((row) => row.map(String));
  const widths = head.map((name, column) =>
    Math.max(name.length, ...text.map((row) => visible(row[column] ?? "").length)),
  );
  const numeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const fill = " ".repeat(Math.max(0, (widths[column] ?? 0) - visible(cell).length));
        return numeric[column] ? fill + cell : cell + fill;
      })
      .join("  ")
      .trimEnd();
  return [dim(line(head)), ...text.map(line)].join("\n");
}

function visible(text: string): string {
  return text.replaceAll(new RegExp(`${ESC.replace("[", "\\[")}\\d+m`, "g"), "");
}

/** "3 s", "4 min", "2 h", "5 d". */
export function age(ms: number): string {
  if (ms < 60_000) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** How a command ends that failed: the code, what happened, what to do, where, and why. Bugs keep their stack. */
export function printError(error: unknown, json: boolean): void {
  if (json) {
    const body = isTardigradeError(error) ? error.toJSON() : { code: "INTERNAL", message: String(error) };
    process.stderr.write(`${JSON.stringify({ error: body })}\n`);
    return;
  }
  if (!isTardigradeError(error)) {
    process.stderr.write(`${red("INTERNAL")} ${error instanceof Error ? error.stack : String(error)}\n`);
    return;
  }
  process.stderr.write(`${red(error.code)} ${error.message}\n${details(error.toJSON())}`);
}

/** Context and causes, as an error that came from a gateway has them too. */
function details(error: ErrorJson): string {
  const context = Object.entries(error.context).filter(([key]) => key !== "component");
  const lines = context.length === 0 ? [] : [context.map(([key, value]) => `${key}=${value}`).join(" ")];
  for (let cause = error.cause; cause !== undefined; cause = "code" in cause ? cause.cause : undefined) {
    const name = "code" in cause ? cause.code : (cause.system ?? cause.name);
    lines.push(`because: ${name} ${cause.message}`.trimEnd());
  }
  return lines.map((line) => `  ${dim(line)}\n`).join("");
}
