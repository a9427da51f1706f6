/**
 * The Logger by pino: one JSON line an entry, on standard error, so that standard output stays free for what a command prints.
 *
 * Secrets are taken out by the name of their field, at any depth, before pino sees them: its own redaction wants every path
 * spelt out, and a path that nobody thought of would leak. Depth and number of fields are bounded, as are texts.
 */
import { pino } from "pino";
import { isTardigradeError } from "../../protocols/error.ts";
import type { Clock, Logger } from "../io/seams.ts";

export const LOGGER_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LoggerLevel = (typeof LOGGER_LEVELS)[number];

/** Where lines go; each ends in a line feed. */
export interface LineSink {
  write(line: string): void;
}

export const REDACTED = "[redacted]";
const SECRET =
  /^(?:.*[-_])?(?:authorization|cookie|credentials?|pass(?:word|phrase|wd)?|pin_?code|private_?key|secret|api_?key|token)s?$/;
/** Text that carries a secret in itself: user and password in an address, a bearer token. */
const SECRET_IN_TEXT = /(?<=:\/\/)[^\s/@]+@|(?<=\bbearer\s+)[\w\-.~+/]+=*/gi;
const DEPTH_MAX = 6;
const FIELDS_MAX = 64;
const TEXT_CHARS_MAX = 4096;

export interface CreateLoggerOptions {
  readonly level?: LoggerLevel;
  /** In every line, such as the site. */
  readonly base?: Readonly<Record<string, string | number>>;
  readonly clock: Clock;
  /** Standard error by default. */
  readonly sink?: LineSink;
}

export function createLogger(options: CreateLoggerOptions): Logger {
  const { clock } = options;
  const root = pino(
    {
      level: options.level ?? "info",
      base: { ...options.base },
      messageKey: "message",
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous: a line about the end of the process must be out before it ends.
    options.sink ?? pino.destination({ fd: 2, sync: true }),
  );
  const at = (level: "debug" | "info" | "warn" | "error"): Logger["info"] => {
    return (message, fields) => {
      if (!root.isLevelEnabled(level)) return;
      const text = clean(message);
      if (fields === undefined) root[level](text);
      else root[level](redact(fields), text);
    };
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger that says nothing, for where one is required and nobody listens. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A copy fit for a log: secrets replaced, errors spelt out, sizes bounded. Takes any value, cycles included. */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return cleanFields(fields, 0);
}

function cleanFields(fields: object, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  let count = 0;
  for (const [name, value] of Object.entries(fields)) {
    count += 1;
    if (count > FIELDS_MAX) {
      result.more = `${Object.keys(fields).length - FIELDS_MAX} fields left out`;
      break;
    }
    result[name] = isSecret(name) ? REDACTED : cleanValue(value, depth + 1);
  }
  return result;
}

function cleanValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return clean(value);
    case "bigint":
      return value.toString();
    case "function":
    case "symbol":
      return undefined;
    case "object":
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (depth > DEPTH_MAX) return "[deeper]";
  if (value instanceof Error) return cleanError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    const kept = value.slice(0, FIELDS_MAX).map((item) => cleanValue(item, depth + 1));
    if (value.length > FIELDS_MAX) kept.push(`[${value.length - FIELDS_MAX} more]`);
    return kept;
  }
  return cleanFields(value, depth);
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  return {
    name: error.name,
    message: clean(error.message),
    ...(isTardigradeError(error)
      ? { code: error.code, context: cleanFields(error.context, depth + 1) }
      : { stack: clean(error.stack ?? "") }),
    ...(error.cause === undefined ? {} : { cause: cleanValue(error.cause, depth + 1) }),
  };
}

function isSecret(name: string): boolean {
  // accessToken and ACCESS_TOKEN are access_token.
  return SECRET.test(name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase());
}

function clean(text: string): string {
  const masked = text.replace(SECRET_IN_TEXT, (match) => (match.endsWith("@") ? `${REDACTED}@` : REDACTED));
  return masked.length <= TEXT_CHARS_MAX ? masked : `${masked.slice(0, TEXT_CHARS_MAX)}…`;
}
