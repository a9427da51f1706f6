/**
 * An error that came as JSON from another machine, made an error again. The text is untrusted: everything is bounded
 * (error-json.ts has the bounds), and whatever comes, a TardigradeError results and nothing is thrown.
 *
 * A code of a newer version becomes ERROR_UNKNOWN with `remoteCode`, `remoteNumber`, `remoteSeverity` and `remoteRecovery` in its context,
 * so that nothing is lost and a person can look it up.
 */
import { type ErrorContext, errorCodeOf, TardigradeError } from "./error.ts";
import {
  boundedContext,
  boundedText,
  ERROR_JSON_LIMITS,
  isErrorCode,
  isRecovery,
  isSeverity,
} from "./error-json.ts";
import { ERRORS, type ErrorCode } from "./table.ts";

const { CHAIN_MAX, MESSAGE_CHARS_MAX } = ERROR_JSON_LIMITS;
const CODE_CHARS_MAX = 64;
const NAME_CHARS_MAX = 40;

/** Never throws. */
export function errorFromJSON(value: unknown): TardigradeError {
  try {
    return fromJson(value, 1);
  } catch {
    // A getter or a proxy that throws: no JSON.
    return unreadable();
  }
}

function unreadable(): TardigradeError {
  return new TardigradeError("ERROR_UNKNOWN", "The other side told an error that cannot be read.");
}

function fromJson(value: unknown, chain: number): TardigradeError {
  if (!isObject(value)) return unreadable();
  const { code, number, message } = value;
  const known = codeOf(code, number);
  const context: ErrorContext = { ...boundedContext(value.context), ...remoteOf(value, known) };
  const cause = chain < CHAIN_MAX ? causeFrom(value.cause, chain + 1) : undefined;
  const told = typeof message === "string" ? boundedText(message, MESSAGE_CHARS_MAX) : "";
  return new TardigradeError(known, told === "" ? ERRORS[known].help : told, {
    context,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The name counts; a number is never used again, so it finds a code whose name has changed. */
function codeOf(code: unknown, number: unknown): ErrorCode {
  if (isErrorCode(code)) return code;
  return (typeof number === "number" ? errorCodeOf(number) : undefined) ?? "ERROR_UNKNOWN";
}

function remoteOf(value: Readonly<Record<string, unknown>>, known: ErrorCode): ErrorContext {
  const { code, number, severity, recovery } = value;
  if (code === known) return {};
  return {
    ...(typeof code === "string" ? { remoteCode: boundedText(code, CODE_CHARS_MAX) } : {}),
    ...(typeof number === "number" && Number.isSafeInteger(number) ? { remoteNumber: number } : {}),
    ...(isSeverity(severity) ? { remoteSeverity: severity } : {}),
    ...(isRecovery(recovery) ? { remoteRecovery: recovery } : {}),
  };
}

function causeFrom(cause: unknown, chain: number): Error | undefined {
  if (!isObject(cause)) return undefined;
  if ("code" in cause || "number" in cause) return fromJson(cause, chain);
  const { name, message, system } = cause;
  const foreign = new Error(typeof message === "string" ? boundedText(message, MESSAGE_CHARS_MAX) : "");
  if (typeof name === "string" && /^[A-Za-z]+$/.test(name)) foreign.name = name.slice(0, NAME_CHARS_MAX);
  if (typeof system === "string") Object.assign(foreign, { code: boundedText(system, NAME_CHARS_MAX) });
  return foreign;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
