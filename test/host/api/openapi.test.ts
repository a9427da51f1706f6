import { describe, expect, test } from "vitest";
import { statusOf } from "../../../host/api/error-status.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { type Answer, apiRig } from "../../support/api-rig.ts";

const ROUTES = [
  "DELETE /api/session",
  "GET /api/alerts",
  "GET /api/audit",
  "GET /api/devices",
  "GET /api/devices/{id}",
  "GET /api/devices/{id}/histograms",
  "GET /api/devices/{id}/shadow",
  "GET /api/devices/{id}/telemetry",
  "GET /api/errors",
  "GET /api/events",
  "GET /api/health",
  "GET /api/histograms",
  "GET /api/info",
  "GET /api/session",
  "GET /healthz",
  "GET /metrics",
  "GET /openapi.json",
  "GET /readyz",
  "PATCH /api/devices/{id}/shadow",
  "POST /api/devices/{id}/commands",
  "POST /api/session",
];

describe("OpenAPI", () => {
  test("describes every route with inputs, answers and a name of its own", async () => {
    await using rig = await apiRig({ token: "a-token-of-some-length" });
    const { json } = await rig.ask("/openapi.json", {
      headers: { authorization: "Bearer a-token-of-some-length" },
    });
    expect(json.openapi).toBe("3.1.0");
    expect(json.security).toEqual([{ token: [] }]);
    const found: string[] = [];
    const names = new Set<string>();
    for (const [path, methods] of Object.entries<Record<string, Answer["json"]>>(json.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        found.push(`${method.toUpperCase()} ${path}`);
        names.add(operation.operationId);
        expect(operation.summary, path).toBeTruthy();
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        const parameters: Answer["json"][] = operation.parameters ?? [];
        expect(parameters.filter((it) => it.in === "path").map((it) => it.name)).toEqual(inPath);
        for (const parameter of parameters)
          expect(parameter.schema.type, `${path} ${parameter.name}`).toBeTruthy();
        for (const [status, response] of Object.entries<Answer["json"]>(operation.responses)) {
          expect(response.description, `${path} ${status}`).toBeTruthy();
          for (const media of Object.values<Answer["json"]>(response.content))
            expect(media.schema.type).toBeTruthy();
        }
        expect(operation.responses["200"]).toBeDefined();
        if (method !== "get" && method !== "delete")
          expect(operation.requestBody.content["application/json"].schema.type).toBe("object");
      }
    }
    expect(found.sort()).toEqual(ROUTES);
    expect(names.size).toBe(ROUTES.length);
  });

  test("states the bounds that the server holds", async () => {
    await using rig = await apiRig();
    const { json } = await rig.ask("/openapi.json");
    const { parameters } = json.paths["/api/devices/{id}/telemetry"].get;
    const schema = (name: string) => parameters.find((it: { name: string }) => it.name === name).schema;
    expect(schema("limit")).toMatchObject({ type: "integer", minimum: 1, maximum: 10_000, default: 1000 });
    expect(schema("resolution").enum).toEqual(["raw", "minute", "hour"]);
    expect(json.security).toBeUndefined();
  });
});

test("every error code has a status of an error", () => {
  for (const code of Object.keys(ERRORS) as (keyof typeof ERRORS)[]) {
    expect(statusOf(code)).toBeGreaterThanOrEqual(400);
    expect(statusOf(code)).toBeLessThan(600);
  }
});
