/** A running API on an ephemeral port of 127.0.0.1 over the fake service, and the smallest client for it. */
import { request as httpRequest } from "node:http";
import { type Api, startApi } from "../../host/api/server.ts";
import type { Logger } from "../../host/io/seams.ts";
import { createMetrics, type Metrics } from "../../host/observe/metrics.ts";
import { observeService } from "../../host/observe/service-metrics.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { type TestAccess, type TestPeople, testAccess } from "./access.ts";
import { type FakeService, fakeService } from "./fake-service.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a server answers is looked into freely by tests
  readonly json: any;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string;
}

export interface ApiRig extends AsyncDisposable {
  readonly api: Api;
  readonly clock: SimulatedClock;
  readonly service: FakeService;
  readonly metrics: Metrics;
  readonly lines: { readonly level: string; readonly message: string; readonly fields: unknown }[];
  readonly hashes: TestAccess["hashes"];
  readonly written: TestAccess["written"];
  ask(path: string, options?: Ask): Promise<Answer>;
}

export async function apiRig(
  options: { readonly token?: string; readonly host?: string; readonly people?: TestPeople } = {},
): Promise<ApiRig> {
  const clock = new SimulatedClock();
  const service = fakeService();
  const metrics = createMetrics({ clock });
  observeService(metrics, service);
  const lines: ApiRig["lines"][number][] = [];
  const say = (level: string): Logger["info"] => {
    return (message, fields) => void lines.push({ level, message, fields });
  };
  const logger: Logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const parts = testAccess(clock, options.people);
  const api = await startApi({
    host: "127.0.0.1",
    port: 0,
    ...(options.token === undefined ? {} : { token: options.token }),
    ...parts,
    service,
    meter: metrics.meter,
    metrics: metrics.metricsText,
    clock,
    logger,
  });
  return {
    api,
    clock,
    service,
    metrics,
    lines,
    hashes: parts.hashes,
    written: parts.written,
    ask: (path, asked) => ask(api.port, path, asked),
    [Symbol.asyncDispose]: () => api.close(),
  };
}

export function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port,
        path,
        method: options.method ?? "GET",
        agent: false,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...options.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
