import { describe, expect, test } from "vitest";
import { createLogger, redact, silentLogger } from "../../../host/observe/logger.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { TardigradeError } from "../../../protocols/error.ts";

function rig(level?: "debug" | "warn" | "silent") {
  const written: string[] = [];
  const logger = createLogger({
    clock: new SimulatedClock({ wallMs: Date.UTC(2026, 0, 2) }),
    base: { site: "home" },
    sink: { write: (line) => written.push(line) },
    ...(level === undefined ? {} : { level }),
  });
  return { logger, written };
}

describe("the logger", () => {
  test("writes a line of JSON an entry, by the clock it is given", () => {
    const { logger, written } = rig();
    logger.info("started", { port: 1883 });
    logger.warn("plain");
    expect(written).toEqual([
      '{"level":"info","time":"2026-01-02T00:00:00.000Z","site":"home","port":1883,"message":"started"}\n',
      '{"level":"warn","time":"2026-01-02T00:00:00.000Z","site":"home","message":"plain"}\n',
    ]);
  });

  test.each([
    ["debug", 4],
    [undefined, 3],
    ["warn", 2],
    ["silent", 0],
  ] as const)("at level %s lets %i of the four through", (level, count) => {
    const { logger, written } = rig(level);
    logger.debug("a");
    logger.info("b");
    logger.warn("c");
    logger.error("d");
    expect(written).toHaveLength(count);
  });

  test("keeps secrets out of fields, at any depth, and out of texts", () => {
    const { logger, written } = rig();
    const secret = "hunter2hunter2";
    logger.error(`cannot reach mqtt://joe:${secret}@broker:1883, sent Authorization: Bearer ${secret}`, {
      token: secret,
      mqtt: { username: "joe", password: secret, deeper: [{ accessToken: secret, API_KEY: secret }] },
      http: { authorization: secret },
      url: `mqtt://joe:${secret}@broker`,
      error: new TardigradeError("BROKER_UNREACHABLE", `no mqtt://joe:${secret}@broker`, {
        context: { component: "forwarder" },
        cause: new Error(`inner ws://x:${secret}@y`),
      }),
    });
    expect(written[0]).not.toContain(secret);
    const entry = JSON.parse(written[0] as string);
    expect(entry.message).toBe(
      "cannot reach mqtt://[redacted]@broker:1883, sent Authorization: Bearer [redacted]",
    );
    expect(entry.mqtt.username).toBe("joe");
    expect(entry.error).toMatchObject({
      code: "BROKER_UNREACHABLE",
      context: { component: "forwarder" },
      cause: { message: "inner ws://[redacted]@y" },
    });
  });

  test("the silent one says nothing", () => {
    silentLogger.debug("");
    silentLogger.info("");
    silentLogger.warn("");
    silentLogger.error("");
  });
});

describe("fields", () => {
  test("of every kind become JSON", () => {
    const fields = redact({
      big: 2n ** 60n,
      date: new Date(0),
      never: new Date(Number.NaN),
      bytes: new Uint8Array(3),
      none: null,
      work: () => 1,
      tokens: 3,
      tokenCount: 3,
    });
    expect(JSON.parse(JSON.stringify(fields))).toEqual({
      big: "1152921504606846976",
      date: "1970-01-01T00:00:00.000Z",
      never: "invalid date",
      bytes: "[3 bytes]",
      none: null,
      tokens: "[redacted]",
      tokenCount: 3,
    });
  });

  test("are bounded in depth, number and length; a cycle ends", () => {
    const cycle: Record<string, unknown> = { many: Array.from({ length: 100 }, (_, at) => at) };
    cycle.self = cycle;
    cycle.text = "x".repeat(10_000);
    for (let at = 0; at < 200; at += 1) cycle[`k${at}`] = at;
    const text = JSON.stringify(redact(cycle));
    expect(text).toContain("[deeper]");
    expect(text).toContain("[36 more]");
    expect(text).toContain("fields left out");
    expect(text.length).toBeLessThan(60_000);
  });

  test("of a bug keep its stack", () => {
    const { error } = redact({ error: new TypeError("oops") }) as { error: { stack: string; name: string } };
    expect(error.name).toBe("TypeError");
    expect(error.stack).toContain("logger.test.ts");
  });
});
