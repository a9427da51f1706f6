/** The virtual board's surroundings: series from a CSV on its ADC, and its MQTT client against the embedded broker. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MqttLink } from "../../boards/simulators/virtual/mqtt-link.ts";
import { VirtualPins } from "../../boards/simulators/virtual/pins.ts";
import { readColumn, replay } from "../../boards/simulators/virtual/replay.ts";
import { ANONYMOUS } from "../../host/gateway/access/principal.ts";
import { topicRules } from "../../host/gateway/acl.ts";
import { type EmbeddedBroker, openEmbeddedBroker } from "../../host/io/mqtt-embedded.ts";
import type { Delivery } from "../../host/io/seams.ts";
import { silentLogger } from "../../host/observe/logger.ts";

const CSV = "date,temp,rain\n2012-01-01,10,0\n2012-01-02,20,\n2012-01-03,30,4\n";

describe("replay", () => {
  const channels = [{ column: "temp", low: 0, high: 40 }];
  test("a row each step, straight lines between, from the start again at the end", () => {
    const source = replay({ series: [readColumn(CSV, "temp")], channels, rowMs: 1000 });
    const at = (ms: number) => source(0, ms * 1000) * 40;
    expect(
      [at(0), at(500), at(1000), at(2000), at(2500), at(3000)].map((value) => Math.round(value * 10) / 10),
    ).toEqual([10, 15, 20, 30, 20, 10]);
  });
  test("boards begin at rows of their own; a channel without a series reads as an error", () => {
    const source = replay({ series: [readColumn(CSV, "temp")], channels, rowMs: 1000, firstRow: 4 });
    expect(source(0, 0) * 40).toBe(20);
    expect(source(1, 0)).toBeNaN();
  });
  test("rows without a number are left out; a wrong column names those there are", () => {
    expect([...readColumn(CSV, "rain")]).toEqual([0, 4]);
    expect(() => readColumn(CSV, "wind")).toThrow(/has no column "wind"; it has date, temp, rain/);
    expect(() => readColumn(CSV, "date")).toThrow(/holds no numbers/);
    expect(() => readColumn("", "temp")).toThrow(/has no column/);
  });
});

describe("pins", () => {
  const pins = new VirtualPins({ pinCount: 4, analog: (channel) => (channel === 0 ? 1.5 : Number.NaN) });
  test("only what a mode allows", () => {
    expect(pins.write(1, 1)).toBe(-209);
    expect(pins.setMode(1, 2)).toBe(0);
    expect(pins.write(1, 9)).toBe(0);
    expect(pins.read(1)).toBe(1);
    expect(pins.setMode(9, 1)).toBe(-209);
    expect(pins.setMode(1, 9)).toBe(-209);
    expect(pins.read(3)).toBe(-209);
    expect(pins.setMode(2, 1)).toBe(0);
    pins.drive(2, 1);
    expect(pins.read(2)).toBe(1);
    pins.drive(1, 0);
    expect(pins.level(1)).toBe(1);
  });
  test("the ADC is a share of full scale, clamped; no source is an error", () => {
    expect(pins.readAnalog(0, 0)).toBe(65535);
    expect(pins.readAnalog(1, 0)).toBe(-209);
    pins.setAnalog(() => 0.5);
    expect(pins.readAnalog(1, 0)).toBe(32768);
    pins.reset();
    expect(pins.mode(1)).toBe("off");
  });
});

describe("MQTT link", () => {
  let broker: EmbeddedBroker;
  const meter = { count() {}, gauge() {}, duration() {} };
  const open = (port: number) =>
    openEmbeddedBroker({
      port,
      rules: topicRules("home"),
      authenticate: () => ANONYMOUS,
      meter,
      logger: silentLogger,
    });
  beforeEach(async () => {
    broker = await open(0);
  });
  afterEach(() => broker.close());

  /** A board that only listens, and what it was told. */
  function listener() {
    const seen = { states: [] as boolean[], bytes: [] as number[][] };
    let wake = () => {};
    const until = async (condition: () => boolean) => {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    const board = {
      setLink(up: boolean) {
        seen.states.push(up);
        wake();
      },
      receive(bytes: Uint8Array) {
        seen.bytes.push([...bytes]);
        wake();
      },
    };
    return { seen, board, until };
  }

  test("carries messages both ways under the device's own name, and comes back after the broker did", async () => {
    const received: Delivery[] = [];
    let arrived = () => {};
    const next = () =>
      new Promise<void>((resolve) => {
        arrived = resolve;
      });
    const listen = () =>
      broker.subscribe("tardi/home/+/up", (delivery) => {
        received.push(delivery);
        arrived();
      });
    await listen();
    const link = new MqttLink({
      url: `mqtt://127.0.0.1:${broker.port}`,
      site: "home",
      device: "dev-1",
      unit: () => 0,
    });
    expect(link.send(Uint8Array.of(1))).toBe(false);
    const { seen, board, until } = listener();
    link.open(board);
    await until(() => seen.states.at(-1) === true);
    const first = next();
    expect(link.send(Uint8Array.of(1, 2, 3))).toBe(true);
    await first;
    expect(received[0]).toMatchObject({ topic: "tardi/home/dev-1/up", clientId: "dev-1" });
    broker.publish("tardi/home/dev-1/down", Uint8Array.of(9), { qos: 1 });
    await until(() => seen.bytes.length > 0);
    expect(seen.bytes).toEqual([[9]]);

    const { port } = broker;
    await broker.close();
    await until(() => seen.states.at(-1) === false);
    expect(link.send(Uint8Array.of(4))).toBe(false);
    broker = await open(port);
    await listen();
    await until(() => seen.states.at(-1) === true);
    await link.close();
    expect(seen.states.at(-1)).toBe(false);
    await link.close();
  });
});
