/**
 * The HTTP server: fastify with our own validation, access rules and error bodies around the routes. Every answer that is not a
 * stream is JSON or the metrics text; every error is {error: {code, message, ...}} and never a stack.
 *
 * A browser's cross-site form can send text/plain to this machine without asking; only application/json is taken, which makes it
 * ask, and nobody here says yes.
 */
import swagger from "@fastify/swagger";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { type TSchema, Type } from "typebox";
import { TardigradeError } from "../../protocols/error.ts";
import type { AccessControl } from "../gateway/access/access-control.ts";
import type { Audit } from "../gateway/access/audit.ts";
import type { KeyedLimiter } from "../gateway/access/keyed-limiter.ts";
import type { GatewayService } from "../gateway/service.ts";
import type { Clock, Logger, Meter, Secrets } from "../io/seams.ts";
import { type ServerTls, tlsOptions } from "../io/tls.ts";
import { checkHost, isLoopback, requireSafeListen } from "./access.ts";
import { errorBody, retryAfterOf, statusOf, toClientError } from "./error-status.ts";
import { type EventStreams, eventStreams } from "./event-stream.ts";
import { Identity } from "./identity.ts";
import { addPage, readPage } from "./page.ts";
import { addRoutes, doc } from "./routes.ts";
import { NoQuery } from "./schemas.ts";
import { addSessionRoutes } from "./session-routes.ts";
import { Sessions } from "./sessions.ts";
import { type HttpPart, validatorOf } from "./validation.ts";

export const BODY_BYTES_MAX = 16 * 1024;
export const CONNECTIONS_MAX = 512;
/** A client must have sent its whole request by then. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Node looks for such clients every half minute unless told otherwise, and gives headers alone a whole one. */
const SLOW = { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 2000 } as const;
/** Requests under way get so long when the server closes. */
const CLOSE_GRACE_MS = 2000;

export interface ApiOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The configuration's, for one admin. */
  readonly token?: string;
  readonly access: AccessControl;
  readonly audit: Audit;
  readonly secrets: Secrets;
  /** Requests, by who asks and from where. */
  readonly requests: KeyedLimiter;
  readonly tls?: ServerTls;
  readonly service: GatewayService;
  readonly meter: Meter;
  /** Text of /metrics. */
  readonly metrics: () => Promise<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Api {
  readonly port: number;
  /** Ends streams and lets requests under way finish, for a bounded time. */
  close(): Promise<void>;
}

/** Rejects with AUTH_REQUIRED, PORT_IN_USE, CONFIG_INVALID (an address that this machine does not have). */
export async function startApi(options: ApiOptions): Promise<Api> {
  const host = options.host ?? "127.0.0.1";
  requireSafeListen(host, options.token !== undefined || options.access.hasPeople);
  const streams = eventStreams(options);
  const app = await buildApp({ ...options, host }, streams);
  try {
    await app.listen({ host: host.replace(/^\[|\]$/g, ""), port: options.port });
  } catch (error) {
    await app.close();
    throw listenError(error, { host, port: options.port });
  }
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  options.logger.info("HTTP API listens", { host, port });
  let closing: Promise<void> | undefined;
  return {
    port,
    close: () => {
      closing ??= closeApp(app, streams, options.clock);
      return closing;
    },
  };
}

async function closeApp(app: FastifyInstance, streams: EventStreams, clock: Clock): Promise<void> {
  streams.close();
  const stop = clock.alarm(CLOSE_GRACE_MS, () => app.server.closeAllConnections(), { background: true });
  await app.close();
  stop();
}

/** The application without a socket; `inject` of its result answers requests in tests and tools. */
export async function buildApp(
  options: ApiOptions & { readonly host: string },
  streams: EventStreams,
): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    ...(options.tls === undefined ? { http: SLOW } : { https: { ...SLOW, ...tlsOptions(options.tls) } }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 64 },
    // A request line that cannot be decoded does not reach the error handler below.
    frameworkErrors: (error, _request, reply: FastifyReply) => {
      const failure = toClientError(error);
      return reply.code(statusOf(failure.code)).send(errorBody(failure));
    },
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  app.removeContentTypeParser("text/plain");
  app.setValidatorCompiler(({ schema, httpPart }) =>
    validatorOf(schema as TSchema, (httpPart ?? "body") as HttpPart),
  );
  // The response schemas are documentation: a field that they lack is not worth losing.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setSchemaErrorFormatter(([first]) => first as unknown as Error);
  addErrors(app, options.logger);
  addHeaders(app, options);
  addAccounts(app, options);
  const sessions = new Sessions(options);
  const identity = new Identity({ ...options, sessions });
  identity.addTo(app);
  await app.register(swagger, { openapi: openApiHead(options) });
  await app.register(async (scope) => {
    addRoutes(scope, { service: options.service, clock: options.clock, streams, identity });
    addPage(scope, readPage());
    addSessionRoutes(scope, { ...options, identity, sessions, secure: options.tls !== undefined });
    addServerRoutes(scope, options);
  });
  await app.ready();
  return app;
}

function addErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = toClientError(thrown);
    if (error.code === "INTERNAL") {
      logger.error("a request failed by a bug", { route: routeOf(request), error: error.cause });
    }
    const retryAfter = retryAfterOf(error.code);
    if (retryAfter !== undefined) reply.header("retry-after", String(retryAfter));
    if (error.code === "UNAUTHORIZED") reply.header("www-authenticate", 'Bearer realm="tardigrade"');
    return reply.code(statusOf(error.code)).type("application/json; charset=utf-8").send(errorBody(error));
  });
  app.setNotFoundHandler(({ method, url }) => {
    const path = url.split("?", 1)[0] as string;
    throw new TardigradeError("NOT_FOUND", `No route ${method} ${path.slice(0, 200)}; see /openapi.json.`);
  });
}

function addHeaders(app: FastifyInstance, { host }: { readonly host: string }): void {
  const local = isLoopback(host);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("cache-control", "no-store").header("x-content-type-options", "nosniff");
    if (local) checkHost(request.headers.host);
  });
}

/** Counts requests by route, not by path: a path is the client's to choose, and would make series without end. */
function addAccounts(app: FastifyInstance, { meter, clock }: ApiOptions): void {
  const began = new WeakMap<FastifyRequest, number>();
  app.addHook("onRequest", async (request) => {
    began.set(request, clock.monotonicMs());
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = routeOf(request);
    meter.count("http_requests", { method: request.method, route, status: String(reply.statusCode) });
    meter.duration("http_request", clock.monotonicMs() - (began.get(request) ?? clock.monotonicMs()), {
      route,
    });
  });
}

function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? "none";
}

const State = Type.Object({ state: Type.String() });

function addServerRoutes(app: FastifyInstance, { service, metrics }: ApiOptions): void {
  app.get("/healthz", { schema: doc("live", "200 while the process works", State) }, (_request, reply) => {
    const { live } = service.health();
    reply.code(live ? 200 : 503);
    return { state: live ? "live" : "failed" };
  });
  app.get("/readyz", { schema: doc("ready", "200 while traffic is taken", State) }, (_request, reply) => {
    const { ready } = service.health();
    reply.code(ready ? 200 : 503);
    return { state: ready ? "ready" : "not ready" };
  });
  const text = { description: "Metrics", content: { "text/plain": { schema: { type: "string" } } } };
  app.get(
    "/metrics",
    { schema: { operationId: "metrics", summary: "Prometheus text format", response: { 200: text } } },
    async (_request, reply) => {
      reply.type("text/plain; version=0.0.4; charset=utf-8");
      return metrics();
    },
  );
  app.get(
    "/openapi.json",
    { schema: { ...doc("openapi", "This description", Type.Object({})), querystring: NoQuery } },
    () => app.swagger(),
  );
}

function openApiHead({ service, token, access }: ApiOptions) {
  return {
    openapi: "3.1.0",
    info: {
      title: "Tardigrade gateway",
      description:
        "Devices, telemetry, shadows and commands of one site. Errors are {error: {code, number, severity, category, recovery, message, context, cause}}.",
      version: service.info().version,
      license: { name: "MIT OR Apache-2.0", identifier: "MIT OR Apache-2.0" },
    },
    components: { securitySchemes: { token: { type: "http" as const, scheme: "bearer" } } },
    ...(token === undefined && !access.hasPeople ? {} : { security: [{ token: [] }] }),
  };
}

function listenError(error: unknown, address: { readonly host: string; readonly port: number }): unknown {
  const { host, port } = address;
  const options = { cause: error, context: { component: "api", host, port } };
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case "EADDRINUSE":
      return new TardigradeError(
        "PORT_IN_USE",
        `Port ${port} on ${host} is taken by another process; stop it or set http.port to another.`,
        options,
      );
    case "EACCES":
      return new TardigradeError(
        "CONFIG_INVALID",
        `This user may not listen on port ${port}; set http.port above 1023.`,
        options,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new TardigradeError(
        "CONFIG_INVALID",
        `${host} is no address of this machine; set http.host to one.`,
        options,
      );
    default:
      return error;
  }
}
