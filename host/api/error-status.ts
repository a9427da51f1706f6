/** Which HTTP status an error code answers with. The code is what clients match on; the status is for what lies between. */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { type ErrorJson, wireErrorJson } from "../../protocols/error-json.ts";
import { type Category, ERRORS, type ErrorCode } from "../../protocols/table.ts";

/** Messages of the HTTP server repeat what was sent. */
const MESSAGE_CHARS_MAX = 200;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  DEVICE_ID_INVALID: 400,
  SHADOW_INVALID: 400,
  TOPIC_INVALID: 400,
  UNAUTHORIZED: 401,
  TOPIC_FOREIGN: 403,
  CAPABILITY_DENIED: 403,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  REQUEST_UNKNOWN: 404,
  DEVICE_UNKNOWN: 404,
  // Misdirected: another gateway of the site answers it.
  DEVICE_ELSEWHERE: 421,
  SHADOW_VERSION: 412,
  PAYLOAD_OVERSIZE: 413,
  RECORD_OVERSIZE: 413,
  // The request was understood and the device said no.
  COMMAND_REJECTED: 422,
  COMMAND_UNKNOWN: 422,
  COMMAND_FAILED: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  QUEUE_FULL: 503,
  DEVICE_LIMIT: 503,
  LINK_DOWN: 503,
  BREAKER_OPEN: 503,
  FORWARD_BLOCKED: 503,
  BROKER_UNREACHABLE: 503,
  COMMAND_TIMEOUT: 504,
  TIMED_OUT: 504,
  DISK_FULL: 507,
};

const BY_CATEGORY: Readonly<Record<Category, number>> = {
  codec: 400,
  device: 502,
  gateway: 400,
  store: 503,
  host: 500,
  build: 500,
  concurrency: 503,
  cluster: 503,
  policy: 503,
};

export function statusOf(code: ErrorCode): number {
  return BY_CODE[code] ?? BY_CATEGORY[ERRORS[code].category];
}

/** Seconds to wait before the next try, where trying again is the cure. */
export function retryAfterOf(code: ErrorCode): number | undefined {
  const status = statusOf(code);
  return status === 429 || status === 503 || status === 507 ? 1 : undefined;
}

export interface ErrorBody {
  readonly error: ErrorJson;
}

/** What errorFromJSON() of protocols/ reads again. Of a bug's cause nothing is told. */
export function errorBody(error: TardigradeError): ErrorBody {
  const { cause, ...told } = wireErrorJson(error);
  return { error: error.code === "INTERNAL" || cause === undefined ? told : { ...told, cause } };
}

/**
 * What a client may know of something that was thrown: an operational error as it is, a refusal of the HTTP server as
 * REQUEST_INVALID, and of a bug nothing but that there is one.
 */
export function toClientError(thrown: unknown): TardigradeError {
  if (isTardigradeError(thrown)) return thrown.code === "INTERNAL" ? hidden(thrown) : thrown;
  const { code, statusCode } = (thrown ?? {}) as { code?: unknown; statusCode?: unknown };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new TardigradeError("PAYLOAD_OVERSIZE", "The body is longer than this route takes.", {
      cause: thrown,
    });
  }
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return new TardigradeError("REQUEST_INVALID", "Send the body with Content-Type: application/json.", {
      cause: thrown,
    });
  }
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500 && thrown instanceof Error) {
    return new TardigradeError("REQUEST_INVALID", thrown.message.slice(0, MESSAGE_CHARS_MAX), {
      cause: thrown,
    });
  }
  return hidden(thrown);
}

function hidden(cause: unknown): TardigradeError {
  return new TardigradeError("INTERNAL", ERRORS.INTERNAL.help, { cause });
}
