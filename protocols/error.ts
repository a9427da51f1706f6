/**
 * The host's shape of an error: an `Error` with a stable code from the table, its severity and its context. Operational
 * errors are always of this class; anything else that is thrown is a bug.
 */
import { type ErrorJson, errorJson } from "./error-json.ts";
import { type Category, ERRORS, type ErrorCode, type Recovery, type Severity } from "./table.ts";

export interface ErrorContext {
  readonly component?: string;
  readonly operation?: string;
  readonly device?: string;
  readonly traceId?: string;
  /** Hybrid logical clock stamp, as decimal text so that it survives JSON. */
  readonly hlc?: string;
  /** Whatever else helps whoever reads it: a segment, an offset, a line. Never a secret. */
  readonly [detail: string]: string | number | boolean | undefined;
}

export class TardigradeError extends Error {
  override readonly name = "TardigradeError";
  readonly code: ErrorCode;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; context?: ErrorContext } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
  }

  get number(): number {
    return ERRORS[this.code].number;
  }
  get severity(): Severity {
    return ERRORS[this.code].severity;
  }
  get category(): Category {
    return ERRORS[this.code].category;
  }
  get recovery(): Recovery {
    return ERRORS[this.code].recovery;
  }

  /** With the chain of causes, bounded, without stacks and secrets; error-from-json.ts reads it again. */
  toJSON(): ErrorJson {
    return errorJson(this);
  }
}

const BY_NUMBER = new Map<number, ErrorCode>(
  (Object.keys(ERRORS) as ErrorCode[]).map((code) => [ERRORS[code].number, code]),
);

/** The name of a code that travelled as a number; undefined for one this version does not know. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return BY_NUMBER.get(number);
}

export function isTardigradeError(value: unknown): value is TardigradeError {
  return value instanceof TardigradeError;
}
