/** The routes under /api: each asks the GatewayService one question. Inputs have passed their schema when a handler sees them. */
import type { FastifyInstance } from "fastify";
import type { TSchema } from "typebox";
import { TardigradeError } from "../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../protocols/table.ts";
import type { DeviceSummary, GatewayService } from "../gateway/service.ts";
import type { Clock } from "../io/seams.ts";
import type { EventStreams } from "./event-stream.ts";
import type { Identity } from "./identity.ts";
import * as schemas from "./schemas.ts";

const HOUR_MS = 3_600_000;

export interface RouteOptions {
  readonly service: GatewayService;
  readonly clock: Clock;
  readonly streams: EventStreams;
  readonly identity: Identity;
}

export function addRoutes(app: FastifyInstance, options: RouteOptions): void {
  addDeviceRoutes(app, options);
  addHistogramRoutes(app, options);
  addShadowAndCommandRoutes(app, options);
  addStateRoutes(app, options);
  addEventRoute(app, options);
}

function addDeviceRoutes(app: FastifyInstance, { service, clock }: RouteOptions): void {
  app.get<{ Querystring: schemas.DevicesQuery }>(
    "/api/devices",
    {
      schema: { ...doc("listDevices", "Devices by id", schemas.Devices), querystring: schemas.DevicesQuery },
    },
    ({ query }) => pageOf(service.devices(), query),
  );
  app.get<{ Params: schemas.DeviceParams }>(
    "/api/devices/:id",
    {
      schema: {
        ...doc("getDevice", "One device", schemas.Device),
        params: schemas.DeviceParams,
        querystring: schemas.NoQuery,
      },
    },
    ({ params }) => known(service, params.id),
  );
  app.get<{ Params: schemas.DeviceParams; Querystring: schemas.TelemetryQuery }>(
    "/api/devices/:id/telemetry",
    {
      schema: {
        ...doc("getTelemetry", "Readings or roll-ups of a metric, oldest first", schemas.Telemetry),
        params: schemas.DeviceParams,
        querystring: schemas.TelemetryQuery,
      },
    },
    ({ params, query }) => {
      const { metric, resolution, limit } = query;
      const toMs = query.to === undefined ? clock.wallMs() : timeMsOf("to", query.to);
      const fromMs = query.from === undefined ? toMs - HOUR_MS : timeMsOf("from", query.from);
      if (fromMs > toMs) throw new TardigradeError("REQUEST_INVALID", "querystring/from: is later than `to`");
      known(service, params.id);
      const points = service.history({ device: params.id, metric, fromMs, toMs, resolution, limit });
      return { device: params.id, metric, resolution, fromMs, toMs, points };
    },
  );
}

function addHistogramRoutes(app: FastifyInstance, { service }: RouteOptions): void {
  app.get<{ Params: schemas.DeviceParams }>(
    "/api/devices/:id/histograms",
    {
      schema: {
        ...doc("getHistograms", "What a device measured itself, as quantiles", schemas.DeviceHistograms),
        params: schemas.DeviceParams,
        querystring: schemas.NoQuery,
      },
    },
    ({ params }) => {
      known(service, params.id);
      return { device: params.id, histograms: service.deviceHistograms(params.id) };
    },
  );
  app.get(
    "/api/histograms",
    {
      schema: {
        ...doc("listHistograms", "The same over all devices, by firmware and metric", schemas.Histograms),
        querystring: schemas.NoQuery,
      },
    },
    () => ({ histograms: service.histograms() }),
  );
}

function addShadowAndCommandRoutes(app: FastifyInstance, { service }: RouteOptions): void {
  app.get<{ Params: schemas.DeviceParams }>(
    "/api/devices/:id/shadow",
    {
      schema: {
        ...doc("getShadow", "Desired and reported state; ETag is the version", schemas.Shadow),
        params: schemas.DeviceParams,
        querystring: schemas.NoQuery,
      },
    },
    ({ params }, reply) => {
      known(service, params.id);
      const shadow = service.shadow(params.id);
      reply.header("etag", `"${shadow.version}"`);
      return shadow;
    },
  );
  app.patch<{ Params: schemas.DeviceParams; Body: schemas.ShadowPatch; Headers: schemas.ShadowHeaders }>(
    "/api/devices/:id/shadow",
    {
      schema: {
        ...doc("patchShadow", "Changes desired state; answers when that is durable", schemas.Shadow),
        params: schemas.DeviceParams,
        querystring: schemas.NoQuery,
        headers: schemas.ShadowHeaders,
        body: schemas.ShadowPatch,
      },
    },
    async ({ params, body, headers }, reply) => {
      const match = headers["if-match"];
      const condition =
        match === undefined || match === "*" ? {} : { ifVersion: Number(match.replaceAll('"', "")) };
      const shadow = await service.setDesired(params.id, body.desired, condition);
      reply.header("etag", `"${shadow.version}"`);
      return shadow;
    },
  );
  app.post<{ Params: schemas.DeviceParams; Body: schemas.CommandBody }>(
    "/api/devices/:id/commands",
    {
      schema: {
        ...doc("sendCommand", "Sends a command; answers when the device has", schemas.Command),
        params: schemas.DeviceParams,
        querystring: schemas.NoQuery,
        body: schemas.CommandBody,
      },
    },
    ({ params, body }) => service.command(params.id, body),
  );
}

function addStateRoutes(app: FastifyInstance, { service }: RouteOptions): void {
  const get = (path: string, operationId: string, summary: string, shape: TSchema, answer: () => unknown) =>
    app.get(path, { schema: { ...doc(operationId, summary, shape), querystring: schemas.NoQuery } }, answer);
  get("/api/errors", "getErrors", "Errors by code and component", schemas.Errors, () => ({
    errors: service.errors().map((error) => ({ ...error, help: helpOf(error.code) })),
  }));
  get("/api/alerts", "getAlerts", "Alerts, the active ones first", schemas.Alerts, () => ({
    alerts: service.alerts(),
  }));
  get("/api/info", "getInfo", "The gateway, its log and its totals", schemas.Info, () => service.info());
  get("/api/health", "getHealth", "Checks one by one", schemas.Health, () => service.health());
}

function addEventRoute(app: FastifyInstance, { streams, identity }: RouteOptions): void {
  app.get<{ Querystring: schemas.EventsQuery; Headers: schemas.EventsHeaders }>(
    "/api/events",
    {
      schema: {
        operationId: "followEvents",
        summary: "What happens, as server-sent events; an event's id is its log offset",
        querystring: schemas.EventsQuery,
        headers: schemas.EventsHeaders,
        response: {
          200: { description: "Stream", content: { "text/event-stream": { schema: { type: "string" } } } },
          default: failure,
        },
      },
    },
    (request, reply) => {
      const { query, headers } = request;
      const principal = identity.of(request);
      const last = headers["last-event-id"];
      const resumed = last === undefined || last === "" ? undefined : Number(last) + 1;
      const from = resumed ?? (query.from === undefined ? undefined : Number(query.from));
      streams.open(reply.raw, {
        ...(from === undefined ? {} : { from }),
        isAllowed: () => identity.isStill(principal),
      });
      reply.hijack();
    },
  );
}

/** One sentence on what the code means and what to do. */
function helpOf(code: string): string {
  return code in ERRORS ? ERRORS[code as ErrorCode].help : "";
}

const failure = { description: "Error", ...schemas.Failure };

/** What OpenAPI says of a route that answers JSON. */
export function doc(operationId: string, summary: string, shape: TSchema) {
  return { operationId, summary, response: { 200: { description: summary, ...shape }, default: failure } };
}

/** The device; throws DEVICE_UNKNOWN. */
function known(service: GatewayService, id: string): DeviceSummary {
  const device = service.device(id);
  if (device === undefined) {
    throw new TardigradeError("DEVICE_UNKNOWN", `No device ${id} has said hello to this gateway.`, {
      context: { device: id },
    });
  }
  return device;
}

function pageOf(
  devices: readonly DeviceSummary[],
  { limit, after }: schemas.DevicesQuery,
): { devices: DeviceSummary[]; next?: string } {
  const sorted = devices
    .filter((device) => after === undefined || device.id > after)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = sorted.slice(0, limit);
  const last = page.at(-1);
  return last !== undefined && sorted.length > limit ? { devices: page, next: last.id } : { devices: page };
}

/** Milliseconds of a text that has the shape of a time; throws REQUEST_INVALID for a 30th of February. */
function timeMsOf(name: string, text: string): number {
  if (/^[0-9]+$/.test(text)) return Number(text);
  const hasZone = /Z$|T.*[+-][0-9]{2}:[0-9]{2}$/.test(text);
  const timeMs = Date.parse(hasZone || !text.includes("T") ? text : `${text}Z`);
  const day = text.slice(0, 10);
  // Date.parse makes the 30th of February the 2nd of March.
  if (Number.isNaN(timeMs) || new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) !== day) {
    throw new TardigradeError("REQUEST_INVALID", `querystring/${name}: ${text} is no time`);
  }
  return timeMs;
}
