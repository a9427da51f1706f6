/** Log-in, log-out and who one is; and the audit, for admins. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Static, Type } from "typebox";
import { TardigradeError } from "../../protocols/error.ts";
import type { AccessControl } from "../gateway/access/access-control.ts";
import { ROLES } from "../gateway/access/access-file.ts";
import type { Audit } from "../gateway/access/audit.ts";
import { nameOf, type Principal, roleOf } from "../gateway/access/principal.ts";
import type { Identity } from "./identity.ts";
import { doc } from "./routes.ts";
import { NoQuery } from "./schemas.ts";
import { cookieOf, SESSION_MS, type Sessions, setCookie } from "./sessions.ts";

const closed = { additionalProperties: false } as const;
const Role = Type.Unsafe<string>({ type: "string", enum: [...ROLES] });
const SessionView = Type.Object({
  name: Type.String(),
  role: Role,
  authentication: Type.Boolean({ description: "False where nobody has to log in" }),
});
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
/** Either a token, or a user with a password. */
const Login = Type.Object(
  { token: Type.Optional(Text(128)), user: Type.Optional(Text(64)), password: Type.Optional(Text(512)) },
  closed,
);
const Entries = Type.Object({
  entries: Type.Array(
    Type.Object({
      timeMs: Type.Number(),
      who: Type.String(),
      via: Type.String(),
      action: Type.String(),
      target: Type.String(),
      outcome: Type.String(),
    }),
  ),
});

export interface SessionRouteOptions {
  readonly identity: Identity;
  readonly access: AccessControl;
  readonly sessions: Sessions;
  readonly audit: Audit;
  /** Cookies go over TLS only. */
  readonly secure: boolean;
}

type LoginBody = Static<typeof Login>;

export function addSessionRoutes(app: FastifyInstance, options: SessionRouteOptions): void {
  const { identity, access, sessions, audit, secure } = options;
  const viewOf = (principal: Principal) => ({
    name: nameOf(principal),
    role: roleOf(principal) ?? "viewer",
    authentication: identity.isRequired,
  });
  const identify = async (body: LoginBody, address: string): Promise<Principal | undefined> => {
    const { token, user, password } = body;
    if (token !== undefined && user === undefined && password === undefined)
      return identity.byToken(token, address);
    if (token === undefined && user !== undefined && password !== undefined)
      return access.byPassword(user, password, { address });
    throw new TardigradeError("REQUEST_INVALID", "Send either a token, or a user and a password.");
  };
  app.get(
    "/api/session",
    { schema: { ...doc("getSession", "Who asks", SessionView), querystring: NoQuery } },
    (request) => viewOf(identity.of(request) as Principal),
  );
  app.post<{ Body: LoginBody }>(
    "/api/session",
    {
      config: { role: "none" },
      schema: { ...doc("logIn", "Sets the page's cookie", SessionView), body: Login },
    },
    async (request, reply) => {
      const principal = await identify(request.body, request.ip);
      if (principal === undefined) throw wrongLogin();
      reply.header(
        "set-cookie",
        setCookie(sessions.begin(principal), { secure, maxAgeS: SESSION_MS / 1000 }),
      );
      return viewOf(principal);
    },
  );
  app.delete(
    "/api/session",
    { config: { role: "none" }, schema: doc("logOut", "Ends the page's log-in", Type.Object({})) },
    (request: FastifyRequest, reply: FastifyReply) => {
      const secret = cookieOf(request.headers.cookie);
      if (secret !== undefined) sessions.end(secret);
      reply.header("set-cookie", setCookie("", { secure, maxAgeS: 0 }));
      return {};
    },
  );
  app.get(
    "/api/audit",
    {
      config: { role: "admin" },
      schema: { ...doc("getAudit", "Who did what, newest first", Entries), querystring: NoQuery },
    },
    () => ({ entries: audit.last() }),
  );
}

/** The same whether the name or the password is wrong. */
function wrongLogin(): TardigradeError {
  return new TardigradeError("UNAUTHORIZED", "Name, password or token are not right, or have expired.");
}
