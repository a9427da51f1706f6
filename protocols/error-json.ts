/**
 * An error as JSON, for logs and for the network: code, message, context and the chain of causes, all of it bounded. Stacks never travel,
 * nor does what looks like a secret: context under a telling key, credentials in an address, an Authorization header's value.
 *
 * Two audiences. Whoever runs the command sees what the system said ("ENOENT: no such file ..."); over the network a foreign cause is
 * reduced to its name and its system code, since its message is nobody's to vouch for.
 */
import {
  type Category,
  ERRORS,
  type ErrorCode,
  RECOVERIES,
  type Recovery,
  SEVERITIES,
  type Severity,
} from "./table.ts";

/** Bounds of both directions; what is longer is cut, what is more is left out. */
export const ERROR_JSON_LIMITS = {
  /** Errors in a chain, the outermost included. */
  CHAIN_MAX: 8,
  MESSAGE_CHARS_MAX: 2000,
  CONTEXT_KEYS_MAX: 32,
  CONTEXT_KEY_CHARS_MAX: 48,
  CONTEXT_TEXT_CHARS_MAX: 500,
} as const;

export type ContextValue = string | number | boolean;

export interface ErrorJson {
  readonly code: ErrorCode;
  readonly number: number;
  readonly severity: Severity;
  readonly category: Category;
  readonly recovery: Recovery;
  readonly message: string;
  readonly context: Readonly<Record<string, ContextValue>>;
  readonly cause?: ErrorJson | ForeignJson;
}

/** A cause that is none of ours. */
export interface ForeignJson {
  readonly name: string;
  readonly message: string;
  /** Of the system, such as ENOSPC. */
  readonly system?: string;
}

/** What a TardigradeError is made of; error.ts has the class. */
interface Coded extends Error {
  readonly code: ErrorCode;
  readonly context: Readonly<Record<string, unknown>>;
}

const SECRET_KEY = /pass|secret|token|credential|authori[sz]ation|cookie|private|api-?_?key/i;
const CONTEXT_KEY = /^[A-Za-z][A-Za-z0-9_.-]*$/;
const SYSTEM_CODE = /^E[A-Z0-9]{2,30}$/;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERRORS, value);
}

/** For who runs the program: foreign causes with their messages. */
export function errorJson(error: Coded): ErrorJson {
  return jsonOf(error, { chain: 1, network: false });
}

/** For another machine. */
export function wireErrorJson(error: Coded): ErrorJson {
  return jsonOf(error, { chain: 1, network: true });
}

interface Place {
  /** How many errors with this one. */
  readonly chain: number;
  readonly network: boolean;
}

function jsonOf(error: Coded, place: Place): ErrorJson {
  const { number, severity, category, recovery } = ERRORS[error.code];
  const cause = causeOf(error.cause, { ...place, chain: place.chain + 1 });
  return {
    ...{ code: error.code, number, severity, category, recovery },
    message: boundedText(withoutSecrets(error.message), ERROR_JSON_LIMITS.MESSAGE_CHARS_MAX),
    context: boundedContext(error.context),
    ...(cause === undefined ? {} : { cause }),
  };
}

function causeOf(cause: unknown, place: Place): ErrorJson | ForeignJson | undefined {
  if (cause === undefined || cause === null || place.chain > ERROR_JSON_LIMITS.CHAIN_MAX) return undefined;
  if (isCoded(cause)) return jsonOf(cause, place);
  if (!(cause instanceof Error)) {
    return place.network ? undefined : { name: "Error", message: foreignText(String(cause)) };
  }
  const { code } = cause as { readonly code?: unknown };
  const system = typeof code === "string" && SYSTEM_CODE.test(code) ? { system: code } : {};
  if (!place.network) return { name: nameOf(cause), message: foreignText(cause.message), ...system };
  return "system" in system ? { name: nameOf(cause), message: "", ...system } : undefined;
}

function isCoded(value: unknown): value is Coded {
  return value instanceof Error && value.name === "TardigradeError" && isErrorCode((value as Coded).code);
}

function nameOf(error: Error): string {
  return /^[A-Za-z]{1,40}$/.test(error.name) ? error.name : "Error";
}

/** Some errors carry a stack, or a whole dump, in their message. */
function foreignText(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return boundedText(withoutSecrets(line), ERROR_JSON_LIMITS.MESSAGE_CHARS_MAX);
}

function withoutSecrets(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, "$1")
    .replaceAll(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/g, "$1 (left out)");
}

/** Without control characters, which would be commands to whoever's terminal shows it; line ends and tabs stay. */
export function boundedText(text: string, charsMax: number): string {
  let clean = "";
  for (const char of text.slice(0, charsMax * 2)) {
    const code = char.codePointAt(0) as number;
    const isControl = (code < 32 && code !== 10 && code !== 9) || (code >= 127 && code < 160);
    const isHalf = code >= 0xd800 && code <= 0xdfff;
    if (isControl || isHalf) continue;
    if (clean.length + char.length > charsMax) break;
    clean += char;
  }
  return clean;
}

/** What of a context may travel, whoever made it. */
export function boundedContext(context: unknown): Readonly<Record<string, ContextValue>> {
  const kept: Record<string, ContextValue> = {};
  if (typeof context !== "object" || context === null) return kept;
  let count = 0;
  for (const [key, value] of Object.entries(context)) {
    if (count >= ERROR_JSON_LIMITS.CONTEXT_KEYS_MAX) break;
    if (key.length > ERROR_JSON_LIMITS.CONTEXT_KEY_CHARS_MAX) continue;
    if (!CONTEXT_KEY.test(key) || SECRET_KEY.test(key)) continue;
    if (typeof value === "string") {
      kept[key] = boundedText(withoutSecrets(value), ERROR_JSON_LIMITS.CONTEXT_TEXT_CHARS_MAX);
    } else if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) {
      kept[key] = value;
    } else continue;
    count += 1;
  }
  return kept;
}

export function isSeverity(value: unknown): value is Severity {
  return (SEVERITIES as readonly unknown[]).includes(value);
}
export function isRecovery(value: unknown): value is Recovery {
  return (RECOVERIES as readonly unknown[]).includes(value);
}
