/**
 * Log-ins of the web page. A browser's EventSource can send no Authorization header, so a log-in becomes a cookie: 256 random bits
 * that scripts cannot read (HttpOnly) and other sites cannot make it send (SameSite=Strict). Here only their hash is kept, in
 * memory: a restart of the gateway ends them, and the page logs in again with nothing lost.
 */
import type { AccessControl } from "../gateway/access/access-control.ts";
import type { Principal } from "../gateway/access/principal.ts";
import type { Clock, Secrets } from "../io/seams.ts";

export const SESSIONS_MAX = 1024;
export const SESSION_MS = 12 * 3_600_000;
export const COOKIE = "tardi_session";

interface Session {
  readonly principal: Principal;
  readonly endsMs: number;
}

export class Sessions {
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  readonly #access: AccessControl;
  readonly #sessions = new Map<string, Session>();

  constructor(options: { readonly clock: Clock; readonly secrets: Secrets; readonly access: AccessControl }) {
    this.#clock = options.clock;
    this.#secrets = options.secrets;
    this.#access = options.access;
  }

  /** The cookie's value. Beyond SESSIONS_MAX the oldest log-in ends. */
  begin(principal: Principal): string {
    const secret = this.#secrets.secret();
    const oldest = this.#sessions.keys().next().value;
    if (this.#sessions.size >= SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest);
    this.#sessions.set(this.#secrets.hash(secret), {
      principal,
      endsMs: this.#clock.monotonicMs() + SESSION_MS,
    });
    return secret;
  }

  /** Who it is, as long as that user or token is there with the same role. */
  of(secret: string): Principal | undefined {
    const key = this.#secrets.hash(secret);
    const session = this.#sessions.get(key);
    if (session === undefined) return undefined;
    if (this.#clock.monotonicMs() < session.endsMs && this.#access.isStill(session.principal))
      return session.principal;
    this.#sessions.delete(key);
    return undefined;
  }

  end(secret: string): void {
    this.#sessions.delete(this.#secrets.hash(secret));
  }
}

/** Of a Cookie header; undefined when it is not there or no secret of ours. */
export function cookieOf(header: string | undefined): string | undefined {
  return new RegExp(`(?:^|; *)${COOKIE}=([A-Za-z0-9_-]{43})(?:;|$)`).exec(header ?? "")?.[1];
}

export function setCookie(
  value: string,
  options: { readonly secure: boolean; readonly maxAgeS: number },
): string {
  const secure = options.secure ? "; Secure" : "";
  return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${options.maxAgeS}${secure}`;
}
