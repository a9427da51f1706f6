/** A Firmata board as a device of the gateway: its states around a driver that does as it is told. */
import { describe, expect, test } from "vitest";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import type { Component } from "../../../host/gateway/firmata/component.ts";
import type { FirmataDriver, FirmataHandlers } from "../../../host/gateway/firmata/driver.ts";
import { HANDSHAKE_MS, SILENCE_MS } from "../../../host/gateway/firmata/firmata-board.ts";
import { FirmataSource } from "../../../host/gateway/firmata/firmata-source.ts";
import { REOPEN } from "../../../host/gateway/serial-link.ts";
import type { ByteStream, SerialPorts } from "../../../host/io/seams.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import type { Value } from "../../../protocols/messages.generated.ts";
import { openTestCore } from "../../support/core.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

const COMPONENTS: readonly Component[] = [
  { name: "knob", kind: "sensor", analog: 0, unit: "%" },
  { name: "air", kind: "thermometer", analog: 1, controller: "TMP36" },
  { name: "door", kind: "button", pin: 2 },
  { name: "lamp", kind: "led", pin: 13 },
  { name: "pump", kind: "relay", pin: 7 },
  { name: "vent", kind: "servo", pin: 9 },
];

/** A port and a board behind it. */
class Bench implements SerialPorts, FirmataDriver {
  opens = 0;
  pings = 0;
  answersHandshake = true;
  answersPings = true;
  openError: Error | undefined;
  readonly set: [string, Value][] = [];
  handlers!: FirmataHandlers;
  lose: (error?: Error) => void = () => {};

  async list() {
    return [];
  }
  // Both interfaces have an open().
  open(where: string | ByteStream, _second: unknown, handlers?: FirmataHandlers): never {
    return (
      typeof where === "string" ? this.#openPort() : this.#handshake(handlers as FirmataHandlers)
    ) as never;
  }
  async #openPort(): Promise<ByteStream> {
    this.opens += 1;
    if (this.openError !== undefined) throw this.openError;
    return {
      write: () => true,
      onData: () => () => {},
      onDrain: () => () => {},
      onClose: (listener) => {
        this.lose = listener;
        return () => {
          this.lose = () => {};
        };
      },
      close: () => {},
    };
  }
  #handshake(handlers: FirmataHandlers) {
    this.handlers = handlers;
    if (!this.answersHandshake) return new Promise(() => {});
    return Promise.resolve({
      firmware: "StandardFirmata",
      version: "2.3",
      states: { door: false, lamp: false, pump: false },
      set: (name: string, value: Value) => this.set.push([name, value]) > 0,
      ping: () => {
        this.pings += 1;
        if (this.answersPings) handlers.onHeard();
      },
      close: () => {},
    });
  }
}

const backoff = createBackoff({ core: openTestCore(), random: seededRandom(1) }, REOPEN);

async function opened(bench = new Bench()) {
  const world = new GatewayWorld();
  const binding = { port: "/dev/ttyACM0", baudRate: 57_600, device: "bench", components: COMPONENTS };
  await world.open({ sources: [new FirmataSource([binding], { ports: bench, driver: bench, backoff })] });
  await world.clock.advance(200);
  return { world, bench };
}
const codes = (world: GatewayWorld) => world.gateway.errors().map(({ code }) => code);

describe("a Firmata board", () => {
  test("is a device: firmware, metrics, states, the command set", async () => {
    const { world, bench } = await opened();
    bench.handlers.onValue("knob", 42);
    bench.handlers.onValue("door", true);
    await world.clock.advance(300);
    const device = world.gateway.device("bench");
    expect(device).toMatchObject({
      state: "online",
      board: "firmata",
      app: "StandardFirmata",
      version: "2.3",
    });
    expect(device?.metrics).toMatchObject([
      { name: "knob", unit: "%", value: 42 },
      { name: "air", unit: "Cel" },
    ]);
    expect(device?.commands).toEqual(["set"]);
    expect(world.gateway.shadow("bench")?.reported).toEqual({ door: true, lamp: false, pump: false });
    await world.settle(world.gateway.close());
  });

  test("a desired state reaches the board and comes back reported; what it cannot do is told", async () => {
    const { world, bench } = await opened();
    await world.gateway.setDesired("bench", { lamp: true, vent: 30, door: true });
    await world.clock.advance(300);
    expect(bench.set).toEqual([
      ["lamp", true],
      ["vent", 30],
    ]);
    expect(world.gateway.shadow("bench")?.reported).toMatchObject({
      lamp: true,
      vent: 30,
      door: false,
    });
    await world.gateway.setDesired("bench", { vent: 500 });
    await world.clock.advance(300);
    expect(codes(world)).toContain("ARGUMENT");
    expect(bench.set).toHaveLength(2);
    await world.settle(world.gateway.close());
  });

  test("set answers with the value; wrong arguments have a code and set nothing", async () => {
    const { world, bench } = await opened();
    const ask = (args: Record<string, Value>, name = "set") =>
      world.settle(world.gateway.command("bench", { name, args }));
    const refused = (deviceCode: string) => ({ code: "COMMAND_REJECTED", context: { deviceCode } });
    expect(await ask({ lamp: 40 })).toMatchObject({ result: 40 });
    for (const args of [{}, { lamp: 101 }, { pump: 1 }, { vent: true }, { door: true }, { other: 1 }]) {
      await expect(ask(args as Record<string, Value>)).rejects.toMatchObject(refused("ARGUMENT"));
    }
    await expect(ask({ pump: true, vent: 181 })).rejects.toMatchObject(refused("ARGUMENT"));
    expect(bench.set).toEqual([["lamp", 40]]);
    await expect(ask({ lamp: true }, "blink")).rejects.toMatchObject(refused("COMMAND_UNKNOWN"));
    await world.settle(world.gateway.close());
  });

  test("lost and found again: offline meanwhile, and what was set is set again", async () => {
    const { world, bench } = await opened();
    await world.gateway.setDesired("bench", { pump: true });
    await world.clock.advance(300);
    bench.set.length = 0;
    bench.openError = new TardigradeError("SERIAL_OPEN", "no such port");
    bench.lose(new TardigradeError("SERIAL_LOST", "gone"));
    await world.clock.advance(100);
    expect(world.gateway.device("bench")?.state).toBe("offline");
    await world.clock.advance(30_000);
    expect(world.gateway.alerts().map(({ code }) => code)).toContain("SERIAL_OPEN");
    expect(bench.opens).toBeLessThan(12);
    bench.openError = undefined;
    await world.clock.advance(11_000);
    expect(bench.set).toEqual([["pump", true]]);
    expect(world.gateway.device("bench")?.state).toBe("online");
    expect(
      world.gateway
        .alerts()
        .filter(({ code, clearedMs }) => code === "SERIAL_OPEN" && clearedMs === undefined),
    ).toEqual([]);
    await world.settle(world.gateway.close());
  });

  test("a port where nobody speaks Firmata, and a board that falls silent, are opened again", async () => {
    const bench = new Bench();
    bench.answersHandshake = false;
    const { world } = await opened(bench);
    await world.clock.advance(HANDSHAKE_MS + 500);
    expect(codes(world)).toContain("FIRMATA_HANDSHAKE");
    expect(bench.opens).toBe(2);
    bench.answersHandshake = true;
    await world.clock.advance(HANDSHAKE_MS + 1000);
    expect(bench.pings).toBeGreaterThan(0);
    await world.clock.advance(2 * SILENCE_MS);
    expect(world.gateway.device("bench")?.state).toBe("online");
    expect(codes(world)).not.toContain("SERIAL_SILENT");
    const { opens } = bench;
    bench.answersPings = false;
    await world.clock.advance(SILENCE_MS + 6000);
    expect(codes(world)).toContain("SERIAL_SILENT");
    expect(bench.opens).toBeGreaterThan(opens);
    await world.settle(world.gateway.close());
  });
});
