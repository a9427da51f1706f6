/**
 * Plugins: real components in real threads, in a gateway on simulated clock, disk and broker. One that loops, hoards, traps or
 * answers garbage costs the message and stops nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Decoder } from "../../../host/gateway/plain/decoder.ts";
import { PlainSource } from "../../../host/gateway/plain/plain-source.ts";
import {
  FAILURES_MAX,
  ISOLATED_MS,
  OPEN_MS,
  OPENINGS_MAX,
  OPENINGS_PERIOD_MS,
  pluginDecoder,
  QUEUE_MAX,
} from "../../../host/gateway/plain/plugin-decoder.ts";
import { decodedOf, pluginDeviceId, publishOf } from "../../../host/gateway/plain/plugin-output.ts";
import { ruleDecoder } from "../../../host/gateway/plain/rule.ts";
import { systemClock } from "../../../host/io/clock.ts";
import type { PluginCall, PluginRunner } from "../../../host/io/seams.ts";
import type { SimulatedClient } from "../../../host/world/broker.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import { openTestCore } from "../../support/core.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";
import { component, HOSTILE, LORA, opened } from "../../support/plugins.ts";
import { RecordingMeter } from "../../support/quiet.ts";
import { until } from "../../support/until.ts";

const core = openTestCore();
const clock = systemClock();
/** Far more than an answer takes, and less than anybody wants to wait for a loop to be ended. */
const TIME_MS = 1500;
const FAILURES = "tardigrade_plugin_failures_total";

/** One runner a plugin for all tests: it must outlive everything that they do to it. */
const runners = new Map<string, PluginRunner>();
beforeAll(async () => {
  for (const path of [HOSTILE, LORA])
    runners.set(path, await opened(await component(path), { clock, timeMs: TIME_MS }));
});
afterAll(() => Promise.all([...runners.values()].map((runner) => runner.close())));
const running = (path: string) => runners.get(path) as PluginRunner;

interface Fleet {
  readonly world: GatewayWorld;
  readonly client: SimulatedClient;
  readonly heard: string[];
  say(topic: string, payload: string | Uint8Array): Promise<void>;
  /** Lets simulated time and the threads run until it is so. */
  comes(what: string, condition: () => boolean): Promise<void>;
  failures(code: ErrorCode): number;
  metrics(device: string): Record<string, number | undefined>;
}

async function fleet(): Promise<Fleet> {
  const world = new GatewayWorld();
  const parts = { core, clock: world.clock, meter: world.meter };
  const decoders: Decoder[] = [
    pluginDecoder({
      ...parts,
      runner: running(HOSTILE),
      family: "evil",
      filters: ["evil/+/up"],
      publish: ["evil/+/set", "$SYS/#", "tardi/#"],
    }),
    pluginDecoder({
      ...parts,
      runner: running(LORA),
      family: "lora",
      filters: ["lora/+/up"],
      publish: ["lora/+/down"],
    }),
    ruleDecoder({
      rules: [
        { family: "weather", topic: "weather/{device}", fields: [{ path: "t", metric: "temperature" }] },
      ],
      controls: [],
    }),
  ];
  await world.open({ sources: [new PlainSource(decoders)] });
  const client = world.broker.connect({ clientId: "anything" });
  const heard: string[] = [];
  await client.subscribe("#", ({ topic, payload }) => {
    if (!topic.startsWith("tardi/")) heard.push(`${topic} ${Buffer.from(payload).toString("hex")}`);
  });
  return {
    world,
    client,
    heard,
    say: async (topic, payload) => {
      await client.publish(topic, payload, { qos: 1 });
      await world.clock.advance(10);
    },
    comes: (what, condition) => {
      let is = false;
      const drive = async (): Promise<void> => {
        while (!is) {
          await world.clock.advance(5);
          // Threads need real time: simulated time must not run out of a command's meanwhile.
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      const driven = drive();
      return until(what, condition).finally(() => {
        is = true;
        return driven;
      });
    },
    failures: (code) => world.meter.counts.get(`${FAILURES} evil ${code}`) ?? 0,
    metrics: (device) =>
      Object.fromEntries(
        (world.gateway.device(device)?.metrics ?? []).map(({ name, value }) => [name, value]),
      ),
  };
}

/** Cayenne LPP, as its documentation has it: two temperature sensors. */
const TWO_TEMPERATURES = Uint8Array.from([0x03, 0x67, 0x01, 0x10, 0x05, 0x67, 0x00, 0xff]);

describe("the example in AssemblyScript, in a gateway", () => {
  test("decodes readings and states, and is told what to make so", async () => {
    const { world, say, comes, metrics, heard } = await fleet();
    await say("lora/Field_7/up", TWO_TEMPERATURES);
    await say("lora/Field_7/up", Uint8Array.from([2, 0x68, 100, 3, 0x01, 1]));
    await comes("the humidity is stored", () => metrics("lora-field-7")["humidity-2"] !== undefined);
    expect(metrics("lora-field-7")).toEqual({
      "temperature-3": 27.2,
      "temperature-5": 25.5,
      "humidity-2": 50,
    });
    await comes(
      "the valve is reported",
      () => world.gateway.shadow("lora-field-7").reported["valve-3"] === true,
    );
    const command = world.gateway.command("lora-field-7", { name: "set", args: { "valve-3": false } });
    await comes("the downlink", () => heard.includes("lora/Field_7/down 030100"));
    await say("lora/Field_7/up", Uint8Array.from([3, 0x01, 0]));
    let answer: unknown;
    void command.then((it) => {
      answer = it.state;
    });
    await comes("the answer", () => answer === "acked");
  });

  test("says what it cannot read, which opens no breaker", async () => {
    const { world, say, comes } = await fleet();
    for (let n = 0; n < FAILURES_MAX + 2; n += 1) await say("lora/a/up", Uint8Array.from([1, 0x67, 1]));
    const count = () => world.meter.counts.get(`${FAILURES} lora PLUGIN_REFUSED`);
    await comes("every refusal is counted", () => count() === FAILURES_MAX + 2);
    expect(world.gateway.errors()).toMatchObject([
      { code: "PLUGIN_REFUSED", component: "plugin lora", count: FAILURES_MAX + 2 },
    ]);
    expect(world.gateway.errors()[0]?.last[0]?.message).toContain("the last item is cut short");
    expect(world.gateway.devices()).toEqual([]);
  });
});

describe("a plugin that misbehaves", () => {
  test.each<[ErrorCode, string]>([
    ["PLUGIN_TIMEOUT", "loop"],
    ["PLUGIN_MEMORY", "allocate"],
    ["PLUGIN_TRAP", "trap"],
    ["PLUGIN_TRAP", "recurse"],
    ["PLUGIN_OUTPUT", "nan"],
    ["PLUGIN_OUTPUT", "unnamed"],
    ["PLUGIN_OUTPUT", "unit"],
    ["PLUGIN_OUTPUT", "nobody"],
    ["PLUGIN_OUTPUT", "surrogate"],
    ["PLUGIN_OUTPUT", "proto"],
    ["PLUGIN_OUTPUT", "long"],
    ["PLUGIN_OUTPUT", "huge"],
    ["PLUGIN_OUTPUT", "many"],
    ["PLUGIN_OUTPUT", "myriads"],
    ["PLUGIN_REFUSED", "refuse"],
  ])("%s for %s costs one message, and everybody else goes on", async (code, what) => {
    const { world, say, comes, failures, metrics } = await fleet();
    await say("evil/x/up", "good");
    await comes("it decodes", () => metrics("evil-x").heard !== undefined);
    await say("evil/x/up", what);
    await say("evil/y/up", "good");
    await say("lora/a/up", TWO_TEMPERATURES);
    await say("weather/roof", '{"t":21}');
    // While the first is still at it.
    await comes("the other plugin decodes", () => metrics("lora-a")["temperature-3"] === 27.2);
    await comes("the rule decodes", () => metrics("weather-roof").temperature === 21);
    await comes("the same plugin decodes again", () => metrics("evil-y").heard !== undefined);
    expect(failures(code)).toBe(1);
    expect([...world.meter.counts].filter(([name]) => name.startsWith(FAILURES))).toHaveLength(1);
    expect(world.gateway.errors()).toMatchObject([{ code, component: "plugin evil", count: 1 }]);
    expect(world.gateway.devices().map(({ id }) => id)).toEqual([
      "evil-x",
      "evil-y",
      "lora-a",
      "weather-roof",
    ]);
    expect(world.fatal).toEqual([]);
  });

  test.each<[ErrorCode, string]>([
    ["PLUGIN_TIMEOUT", "loop"],
    ["PLUGIN_OUTPUT", "own"],
    ["PLUGIN_OUTPUT", "system"],
    ["PLUGIN_OUTPUT", "wildcard"],
    ["PLUGIN_OUTPUT", "foreign"],
    ["PLUGIN_OUTPUT", "much"],
  ])("%s: setting %s publishes nothing", async (code, state) => {
    const { world, say, comes, failures, heard, metrics } = await fleet();
    await say("evil/x/up", "good");
    await comes("it decodes", () => metrics("evil-x").heard !== undefined);
    const before = heard.length;
    const status = world.text("tardi/lab/bridge/state");
    const command = world.gateway.command("evil-x", {
      name: "set",
      args: { [state]: true },
      timeoutMs: 60_000,
    });
    let refusal: unknown;
    command.catch((error: unknown) => {
      refusal = error;
    });
    await comes("it is refused", () => refusal !== undefined);
    expect(refusal).toMatchObject({ code: "COMMAND_REJECTED" });
    expect(failures(code)).toBe(1);
    expect(heard.slice(before)).toEqual([]);
    expect(world.text("tardi/lab/bridge/state")).toBe(status);
    void world.gateway.command("evil-x", { name: "set", args: { pump: false } }).catch(() => undefined);
    await comes("what it may publish", () => heard.length > before);
    expect(heard.slice(before)).toEqual([`evil/x/set ${Buffer.from("off").toString("hex")}`]);
  });
});

describe("before the thread", () => {
  interface Rig {
    readonly decoder: Decoder;
    readonly meter: RecordingMeter;
    readonly clock: SimulatedClock;
    readonly calls: PluginCall[];
    answer: () => Promise<unknown>;
  }

  function rig(): Rig {
    const calls: PluginCall[] = [];
    const simulated = new SimulatedClock();
    const meter = new RecordingMeter();
    const runner: PluginRunner = {
      call: (call) => {
        calls.push(call);
        return it.answer();
      },
      close: async () => undefined,
    };
    const decoder = pluginDecoder({
      runner,
      family: "f",
      filters: ["f/+"],
      publish: [],
      core,
      clock: simulated,
      meter,
    });
    const it: Rig = { decoder, meter, clock: simulated, calls, answer: async () => undefined };
    return it;
  }
  const trap = (): Promise<never> => Promise.reject(new TardigradeError("PLUGIN_TRAP", "it trapped"));
  const decoded = (it: Rig) => it.decoder.decode("f/a", new Uint8Array(1)) as Promise<unknown>;

  test("a plugin that fails again and again is held back, then tried once", async () => {
    const it = rig();
    it.answer = trap;
    for (let n = 0; n < FAILURES_MAX; n += 1)
      await expect(decoded(it)).rejects.toMatchObject({ code: "PLUGIN_TRAP" });
    for (let n = 0; n < 100; n += 1)
      await expect(decoded(it)).rejects.toMatchObject({ code: "BREAKER_OPEN" });
    expect(it.calls).toHaveLength(FAILURES_MAX);
    expect(it.meter.counts.get(`${FAILURES} f BREAKER_OPEN`)).toBe(100);
    await it.clock.advance(OPEN_MS);
    await expect(decoded(it)).rejects.toMatchObject({ code: "PLUGIN_TRAP" });
    await expect(decoded(it)).rejects.toMatchObject({ code: "BREAKER_OPEN" });
    expect(it.calls).toHaveLength(FAILURES_MAX + 1);
    await it.clock.advance(OPEN_MS);
    it.answer = async () => undefined;
    await expect(decoded(it)).resolves.toBeUndefined();
    await expect(decoded(it)).resolves.toBeUndefined();
  });

  test("a plugin that is held back again and again is isolated, then begins anew", async () => {
    const it = rig();
    it.answer = trap;
    const fail = (code: ErrorCode) => expect(decoded(it)).rejects.toMatchObject({ code });
    const openings = async (count: number): Promise<void> => {
      for (let opening = 0; opening < count; opening += 1) {
        await it.clock.advance(OPEN_MS);
        await fail("PLUGIN_TRAP");
      }
    };
    for (let n = 0; n < FAILURES_MAX; n += 1) await fail("PLUGIN_TRAP");
    await openings(OPENINGS_MAX - 1);
    await fail("BREAKER_OPEN");
    await openings(1);
    const calls = it.calls.length;
    await it.clock.advance(ISOLATED_MS - 1);
    await fail("PLUGIN_ISOLATED");
    expect(it.calls).toHaveLength(calls);
    await it.clock.advance(1);
    await fail("PLUGIN_TRAP");
    await openings(OPENINGS_MAX - 1);
    await fail("BREAKER_OPEN");
    it.answer = async () => undefined;
    await it.clock.advance(OPEN_MS);
    await expect(decoded(it)).resolves.toBeUndefined();
  });

  test("one that is held back now and then is not isolated", async () => {
    const it = rig();
    for (let round = 0; round < 2 * OPENINGS_MAX; round += 1) {
      it.answer = trap;
      for (let n = 0; n < FAILURES_MAX; n += 1)
        await expect(decoded(it)).rejects.toMatchObject({ code: "PLUGIN_TRAP" });
      it.answer = async () => undefined;
      await it.clock.advance(OPENINGS_PERIOD_MS);
      await expect(decoded(it)).resolves.toBeUndefined();
    }
  });

  test("garbage counts as a failure", async () => {
    const it = rig();
    it.answer = async () => ({ device: 7 });
    for (let n = 0; n < FAILURES_MAX; n += 1)
      await expect(decoded(it)).rejects.toMatchObject({ code: "PLUGIN_OUTPUT" });
    await expect(decoded(it)).rejects.toMatchObject({ code: "BREAKER_OPEN" });
  });

  test("the queue is bounded, and a call is made when the one before it is done", async () => {
    const it = rig();
    const first = Promise.withResolvers<undefined>();
    it.answer = () => first.promise;
    const taken = Array.from({ length: QUEUE_MAX }, () => decoded(it));
    await expect(decoded(it)).rejects.toMatchObject({
      code: "QUEUE_FULL",
      context: { component: "plugin f" },
    });
    expect(it.calls).toHaveLength(1);
    expect(it.meter.counts.get(`${FAILURES} f QUEUE_FULL`)).toBe(1);
    first.resolve(undefined);
    await Promise.all(taken);
    expect(it.calls).toHaveLength(QUEUE_MAX);
    await expect(decoded(it)).resolves.toBeUndefined();
  });
});

describe("what an answer may be", () => {
  const good = { device: "a", readings: [], states: [] };
  const wrong: readonly [string, unknown][] = [
    ["a number", 7],
    ["no device", { ...good, device: undefined }],
    ["an empty device", { ...good, device: "" }],
    ["a device with a control character", { ...good, device: "a\u0007" }],
    ["a device of 65 characters", { ...good, device: "a".repeat(65) }],
    ["a version that is long", { ...good, version: "1".repeat(25) }],
    ["a presence that is a text", { ...good, presence: "yes" }],
    ["readings that are none", { ...good, readings: 3 }],
    ["a reading that is none", { ...good, readings: [null] }],
    ["infinity", { ...good, readings: [{ metric: "m", unit: "", value: Number.POSITIVE_INFINITY }] }],
    ["a metric of 25 bytes", { ...good, readings: [{ metric: "m".repeat(25), unit: "", value: 1 }] }],
    ["a state without value", { ...good, states: [{ key: "k", value: undefined }] }],
    ["a state of a list", { ...good, states: [{ key: "k", value: { tag: "list", val: [] } }] }],
    [
      "a state that is not finite",
      { ...good, states: [{ key: "k", value: { tag: "number", val: Number.NaN } }] },
    ],
    [
      "a key of 25 bytes",
      { ...good, states: [{ key: "k".repeat(25), value: { tag: "boolean", val: true } }] },
    ],
    [
      "17 states",
      { ...good, states: Array.from({ length: 17 }, (_, n) => ({ key: `k${n}`, value: { val: true } })) },
    ],
  ];
  test.each(wrong)("%s is refused", (_, answer) =>
    expect(() => decodedOf(answer, "f")).toThrow(expect.objectContaining({ code: "PLUGIN_OUTPUT" })),
  );
  test.each([
    ["no topic", { payload: new Uint8Array(1) }],
    ["an empty topic", { topic: "", payload: new Uint8Array(1) }],
    ["tardi itself", { topic: "tardi", payload: new Uint8Array(1) }],
    ["a NUL", { topic: "f/\u0000", payload: new Uint8Array(1) }],
    ["a payload that is a text", { topic: "f/a", payload: "1" }],
    ["where it may not", { topic: "g/a", payload: new Uint8Array(1) }],
  ])("a publish with %s is refused", (_, answer) =>
    expect(() => publishOf(answer, ["f/+"])).toThrow(expect.objectContaining({ code: "PLUGIN_OUTPUT" })),
  );
  test("without `publish` it publishes nowhere", () => {
    const answer = { topic: "f/a", payload: new Uint8Array(1) };
    expect(publishOf(answer, ["f/+"])).toEqual(answer);
    expect(() => publishOf(answer, [])).toThrow(expect.objectContaining({ code: "PLUGIN_OUTPUT" }));
  });
  test.each([
    ["lora", "A1", "lora-a1"],
    ["lora", "lora-a1", "lora-a1"],
    ["tas", "tasmota-plug", "tas-tasmota-plug"],
    ["lora", "///", ""],
  ])("the id of %s's %s is %s", (family, name, id) => expect(pluginDeviceId(family, name)).toBe(id));
});
