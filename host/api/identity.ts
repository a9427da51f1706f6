/**
 * Who a request comes from, and whether it may: the hook before each route. A bearer token (the configuration's, or one of
 * `tardi token add`), the page's cookie, or a client certificate; where nobody is known, anybody on this machine.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { TardigradeError } from "../../protocols/error.ts";
import type { AccessControl } from "../gateway/access/access-control.ts";
import type { Role } from "../gateway/access/access-file.ts";
import type { Audit } from "../gateway/access/audit.ts";
import type { KeyedLimiter } from "../gateway/access/keyed-limiter.ts";
import { ANONYMOUS, nameOf, type Principal, requireRole } from "../gateway/access/principal.ts";
import { commonNameOf } from "../io/tls.ts";
import { bearerCheck, bearerOf, OPEN_ROUTES } from "./access.ts";
import { cookieOf, type Sessions } from "./sessions.ts";

export interface IdentityOptions {
  /** The configuration's token, whose bearer is an admin. */
  readonly token?: string;
  readonly access: AccessControl;
  readonly sessions: Sessions;
  /** Requests, by who asks and from where. */
  readonly requests: KeyedLimiter;
  readonly audit: Audit;
}

/** What a route may say of itself in `config`. */
declare module "fastify" {
  interface FastifyContextConfig {
    /** Least role. GET needs viewer and the others operator when absent; `none` is for who has not said who they are. */
    readonly role?: Role | "none";
  }
}

export class Identity {
  readonly #options: IdentityOptions;
  readonly #isToken: ((header: string) => boolean) | undefined;
  readonly #principals = new WeakMap<FastifyRequest, Principal>();

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#isToken = options.token === undefined ? undefined : bearerCheck(options.token);
  }

  /** Whether anybody has to say who they are. */
  get isRequired(): boolean {
    return this.#isToken !== undefined || this.#options.access.hasPeople;
  }

  /** Undefined before `check`, and on open routes. */
  of(request: FastifyRequest): Principal | undefined {
    return this.#principals.get(request);
  }

  addTo(app: FastifyInstance): void {
    app.addHook("onRequest", async (request) => this.#check(request));
    app.addHook("onResponse", async (request, reply) => {
      if (request.method === "GET" || request.routeOptions.url === undefined) return;
      const { id = "" } = (request.params ?? {}) as { id?: string };
      const who = this.of(request);
      this.#options.audit.add({
        who: who === undefined ? `somebody at ${request.ip}` : nameOf(who),
        via: "http",
        action: `${request.method} ${request.routeOptions.url}`,
        target: id,
        outcome: reply.statusCode < 400 ? "ok" : String(reply.statusCode),
      });
    });
  }

  /** Still allowed to do what it began: for streams, which outlive the check. */
  isStill(principal: Principal | undefined): boolean {
    if (principal === undefined) return false;
    return principal.kind === "anonymous"
      ? !this.isRequired
      : this.#isConfigToken(principal) || this.#options.access.isStill(principal);
  }

  #isConfigToken(principal: Principal): boolean {
    return principal === CONFIG_ADMIN && this.#isToken !== undefined;
  }

  #check(request: FastifyRequest): void {
    const { url, config } = request.routeOptions;
    if (OPEN_ROUTES.has(url ?? "")) return;
    const principal = this.#identify(request);
    if (principal !== undefined) this.#principals.set(request, principal);
    const key = `${request.ip} ${principal === undefined ? "" : nameOf(principal)}`;
    if (!this.#options.requests.take(key)) {
      throw new TardigradeError("RATE_LIMITED", "Too many requests; try again in a second.");
    }
    const needed = config?.role ?? (request.method === "GET" ? "viewer" : "operator");
    if (needed === "none") return;
    if (principal === undefined) throw unauthorized(request);
    requireRole(principal, needed, `${request.method} ${url ?? "this"}`);
  }

  #identify(request: FastifyRequest): Principal | undefined {
    if (!this.isRequired) return ANONYMOUS;
    const { access, sessions } = this.#options;
    const { authorization, cookie } = request.headers;
    const token = bearerOf(authorization);
    if (authorization !== undefined) {
      if (token === undefined) return undefined;
      if (this.#isToken?.(token) === true) return CONFIG_ADMIN;
      return access.byToken(token, { address: request.ip });
    }
    const commonName = commonNameOf(request.raw.socket);
    const certified = commonName === undefined ? undefined : access.byCertificate(commonName);
    if (certified?.kind === "user") return certified;
    const secret = cookieOf(cookie);
    if (secret === undefined) return undefined;
    requireSameOrigin(request);
    return sessions.of(secret);
  }

  /** The principal of the configuration's token, for a log-in with it. */
  byToken(token: string, address: string): Principal | undefined {
    return this.#isToken?.(token) === true ? CONFIG_ADMIN : this.#options.access.byToken(token, { address });
  }
}

const CONFIG_ADMIN: Principal = { kind: "user", name: "http.token", role: "admin" };

/** A page of another site on this machine (another port is the same site to a cookie) must not use the log-in. */
function requireSameOrigin({ headers, method }: FastifyRequest): void {
  const { origin, host } = headers;
  if (method === "GET" || origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new TardigradeError("FORBIDDEN", "This page's log-in serves this gateway's own page only.");
}

function unauthorized({ headers }: FastifyRequest): TardigradeError {
  const given = headers.authorization !== undefined || cookieOf(headers.cookie) !== undefined;
  return new TardigradeError(
    "UNAUTHORIZED",
    given
      ? "The token or log-in is not valid, has expired or was revoked."
      : "This route needs a token: send it as `Authorization: Bearer TOKEN`, or log in on the page.",
  );
}
