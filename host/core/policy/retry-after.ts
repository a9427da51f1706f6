/** How long an error asks to wait: Retry-After of RFC 9110, section 10.2.3, wherever HTTP libraries put it, and what our own errors say. */
import { isTardigradeError } from "../../../protocols/error.ts";

const MS_PER_SECOND = 1000;

/** Milliseconds, or undefined. Dates are read against the Date of the same answer, so that no clock of ours is asked. */
export function retryAfterOf(error: unknown): number | undefined {
  if (isTardigradeError(error)) {
    const { retryAfterMs } = error.context;
    return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? retryAfterMs : undefined;
  }
  if (typeof error !== "object" || error === null) return undefined;
  const { response } = error as { response?: unknown };
  const headers = headersOf(response) ?? headersOf(error);
  return headers === undefined ? undefined : parse(headers("retry-after"), headers("date"));
}

function headersOf(holder: unknown): ((name: string) => string | undefined) | undefined {
  if (typeof holder !== "object" || holder === null) return undefined;
  const { headers } = holder as { headers?: unknown };
  if (typeof headers !== "object" || headers === null) return undefined;
  const { get } = headers as { get?: unknown };
  return (name) => {
    const value: unknown =
      typeof get === "function" ? get.call(headers, name) : (headers as Record<string, unknown>)[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
}

function parse(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * MS_PER_SECOND;
  const untilMs = Date.parse(value);
  const fromMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isFinite(untilMs - fromMs) ? Math.max(0, untilMs - fromMs) : undefined;
}
