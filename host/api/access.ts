/**
 * Who may ask. Without a token the API is for this machine alone: it listens on loopback, and refuses requests whose Host header
 * names anything else, since a page of a stranger's site can make a browser call 127.0.0.1 under its own name (DNS rebinding). With
 * a token each request carries it; digests are compared, in constant time, so neither length nor content leaks.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { TardigradeError } from "../../protocols/error.ts";

/** Routes for what supervises the process; they tell nothing but a state. */
export const OPEN_ROUTES: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

const LOCAL_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?$/i;
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)$/i;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Throws AUTH_REQUIRED when the address is not loopback and nobody would have to say who they are. */
export function requireSafeListen(host: string, authenticates: boolean): void {
  if (isLoopback(host) || authenticates) return;
  throw new TardigradeError(
    "AUTH_REQUIRED",
    `The HTTP API would listen on ${host}, beyond this machine, without authentication: add a user with tardi user add, set http.token, or set http.host to 127.0.0.1.`,
    { context: { component: "api", host } },
  );
}

/** Throws REQUEST_INVALID. */
export function checkHost(header: string | undefined): void {
  if (header !== undefined && LOCAL_HOST.test(header)) return;
  throw new TardigradeError(
    "REQUEST_INVALID",
    "The Host header must be localhost, 127.0.0.1 or [::1]: this gateway serves its own machine only.",
  );
}

/** Compares with the configuration's token. */
export function bearerCheck(token: string): (given: string) => boolean {
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected);
}

/** The token of an Authorization header. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +([^ ]+)$/i.exec(header ?? "")?.[1];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}
