/** Real firmware on a simulated serial line, opposite a whole gateway: cuts, damage, silence, a log that takes nothing. */
import { describe, expect, test } from "vitest";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import { checkBindings } from "../../../host/gateway/device-links.ts";
import { REOPEN } from "../../../host/gateway/serial-link.ts";
import { openTestCore } from "../../support/core.ts";
import { accountOf, DEVICE, PORT, SerialWorld } from "../../support/serial-world.ts";

async function connected(seed = 1): Promise<SerialWorld> {
  const world = new SerialWorld(seed, { syncMs: 2 });
  await world.open(world.serialOptions());
  await world.powerBoard();
  await world.clock.advance(3000);
  return world;
}

const availability = (world: SerialWorld) => world.text(`tardi/lab/${DEVICE}/availability`);
const codes = (world: SerialWorld) => world.gateway.errors().map(({ code }) => code);

/** Every reading that the board counted as produced and closed is in the log, once. */
async function expectWhole(world: SerialWorld): Promise<void> {
  await world.drain();
  const { readingsDropped, messagesHeld } = world.board.figures();
  expect({ messagesHeld, readingsDropped }).toEqual({ messagesHeld: 0, readingsDropped: 0 });
  const { readings, gaps, twice } = accountOf(await world.records(), DEVICE);
  expect({ readings, gaps, twice }).toEqual({ readings: world.closedReadings, gaps: 0, twice: [] });
}

describe("a device at a serial port", () => {
  test("is stored, acknowledged and projected as one on the broker is", async () => {
    const world = await connected();
    expect(world.gateway.device(DEVICE)).toMatchObject({
      state: "online",
      board: "virtual",
      app: "greenhouse",
    });
    expect(availability(world)).toBe("online");
    await world.clock.advance(20_000);
    const state = world.json(`tardi/lab/${DEVICE}`);
    expect(state).toMatchObject({ state: "online", board: "virtual", boot: 1 });
    expect(world.board.figures().messagesInFlight).toBeLessThan(3);
    expect(world.gateway.health().checks).toContainEqual({
      name: "serial",
      ok: true,
      detail: "1 of 1 devices heard",
    });
    expect(codes(world)).toEqual([]);
    await expectWhole(world);
  });

  test("gets welcome, commands and shadows over the line, and nothing of it goes to the broker", async () => {
    const world = new SerialWorld(1);
    await world.open(world.serialOptions());
    const seen: string[] = [];
    await world.broker.subscribe(`tardi/lab/${DEVICE}/down`, ({ topic }) => seen.push(topic));
    await world.powerBoard();
    await world.clock.advance(3000);
    const answer = await world.settle(world.gateway.command(DEVICE, { name: "water", args: { seconds: 5 } }));
    expect(answer).toMatchObject({ state: "acked", result: 5 });
    await world.settle(world.gateway.setDesired(DEVICE, { fanOnC: 31 }));
    await world.clock.advance(3000);
    expect(world.gateway.shadow(DEVICE)).toMatchObject({ delta: {}, reported: { fanOnC: 31 } });
    expect(seen).toEqual([]);
    world.line.unplug();
    await world.clock.advance(10);
    await expect(
      world.settle(world.gateway.command(DEVICE, { name: "water", timeoutMs: 3000 })),
    ).rejects.toMatchObject({ code: "COMMAND_TIMEOUT" });
    expect(seen.length).toBeGreaterThan(0);
  });

  test("is offline as soon as the cable is pulled, online when it is back, and nothing is lost", async () => {
    const world = await connected();
    world.line.unplug();
    await world.clock.advance(10);
    expect([availability(world), world.gateway.device(DEVICE)?.state]).toEqual(["offline", "offline"]);
    await world.clock.advance(60_000);
    expect(world.gateway.alerts()).toContainEqual(
      expect.objectContaining({ id: `serial ${DEVICE}`, code: "SERIAL_OPEN" }),
    );
    expect(world.gateway.health().state).toBe("degraded");
    world.line.plug();
    await world.clock.advance(REOPEN.capMs + 10_000);
    expect(availability(world)).toBe("online");
    expect(world.gateway.alerts().filter(({ clearedMs }) => clearedMs === undefined)).toEqual([]);
    expect(world.meter.counts.get(`tardigrade_serial_opens_total ${DEVICE}`)).toBe(2);
    await expectWhole(world);
  });

  test("that hangs is noticed by its silence; the port is opened again until it speaks", async () => {
    const world = await connected();
    world.line.mute = true;
    await world.clock.advance(14_000);
    expect(availability(world)).toBe("online");
    await world.clock.advance(2000);
    expect(availability(world)).toBe("offline");
    expect(codes(world)).toContain("SERIAL_SILENT");
    await world.clock.advance(60_000);
    expect(world.meter.counts.get(`tardigrade_serial_opens_total ${DEVICE}`)).toBeGreaterThan(2);
    world.line.mute = false;
    await world.clock.advance(20_000);
    expect(availability(world)).toBe("online");
    await expectWhole(world);
  });

  test("that has nothing to say stays online by its heartbeats", async () => {
    const world = await connected();
    await world.drain();
    world.board.pauseApp();
    await world.clock.advance(180_000);
    expect(availability(world)).toBe("online");
    expect(world.meter.counts.get(`tardigrade_serial_opens_total ${DEVICE}`)).toBe(1);
  });

  test("is asked for a hello by a gateway that starts beside it, though it has nothing to send", async () => {
    const world = await connected();
    await world.drain();
    await world.crashGateway("kill");
    // The first request finds no device that takes it: its session is not known yet. The next heartbeat tells.
    await world.clock.advance(6000);
    expect(world.gateway.device(DEVICE)?.state).toBe("online");
    await expectWhole(world);
  });

  test("gets no credits while the log takes nothing, keeps its readings, and goes on by itself", async () => {
    const world = await connected();
    const stored = () => world.gateway.info().log.syncedOffset;
    const isFull = () => world.gateway.health().checks.some(({ name, ok }) => name === "log" && !ok);
    world.disk.capacityBytes = world.disk.usedBytes;
    await world.clock.runUntil(isFull);
    const before = stored();
    // What was on its way when the disk filled up is taken; from then on the frames stay with the board.
    await world.clock.advance(1000);
    const { messagesHeld } = world.board.figures();
    const duplicates = () => world.gateway.info().totals.duplicates;
    const repeated = duplicates();
    await world.clock.advance(30_000);
    expect(stored()).toBe(before);
    expect(world.board.figures().messagesHeld).toBeGreaterThan(messagesHeld + 3);
    // Without credits nothing of what the board repeats is taken in.
    expect(duplicates()).toBe(repeated);
    // Heartbeats go on, so it is not taken for dead.
    expect(availability(world)).toBe("online");
    expect(world.meter.counts.get(`tardigrade_serial_opens_total ${DEVICE}`)).toBe(1);
    world.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await world.clock.advance(10_000);
    expect(stored()).toBeGreaterThan(before);
    await expectWhole(world);
  });

  test("is offline when its gateway ends in order", async () => {
    const world = await connected();
    await world.settle(world.gateway.close());
    expect(availability(world)).toBe("offline");
    expect(world.json(`tardi/lab/${DEVICE}`)).toMatchObject({ state: "offline" });
    // The port is free again.
    const stream = await world.settle(world.serial.ports().open(PORT, { baudRate: 115_200 }));
    stream.close();
  });
});

describe("any life of line, board and gateway", () => {
  const lives = process.env.TARDIGRADE_DEEP ? 200 : 12;
  test.each(Array.from({ length: lives }, (_, index) => index + 1))(
    "seed %i loses and repeats nothing",
    async (seed) => {
      const world = await connected(seed);
      const random = world.random.fork("driver");
      let damage = 0;
      for (let step = 0; step < 40; step += 1) {
        const dice = random.below(100);
        if (dice < 20) {
          damage = [0, 0.0005, 0.003, 0.02][random.below(4)] as number;
          world.line.faults = { lost: damage / 2, corrupted: damage };
        } else if (dice < 40) {
          if (world.line.isPlugged) world.line.unplug();
          else world.line.plug();
        } else if (dice < 50) world.line.mute = !world.line.mute;
        else if (dice < 60)
          world.disk.capacityBytes = random.chance(0.5) ? world.disk.usedBytes : Number.POSITIVE_INFINITY;
        else if (dice < 68) {
          world.disk.capacityBytes = Number.POSITIVE_INFINITY;
          await world.crashGateway(random.chance(0.5) ? "power" : "kill");
        } else if (dice < 74) world.resetBoard();
        await world.clock.advance(random.below(4000));
      }
      world.line.faults = { lost: 0, corrupted: 0 };
      world.line.mute = false;
      world.line.plug();
      world.disk.capacityBytes = Number.POSITIVE_INFINITY;
      await expectWhole(world);
    },
  );
});

test("the wait before the next opening doubles up to its cap, and never is shorter than half of it", () => {
  const of = (random: number) =>
    createBackoff({ core: openTestCore(), random: { u32: () => random } }, REOPEN);
  expect([1, 2, 3, 4].map((failures) => of(0)(failures))).toEqual([125, 250, 500, 1000]);
  expect(of(0xffff_ffff)(50)).toBeLessThanOrEqual(REOPEN.capMs);
  expect(of(0)(50)).toBe(REOPEN.capMs / 2);
});

test("bindings that contradict each other are refused", () => {
  const one = { port: "/dev/a", baudRate: 9600, device: "one" };
  expect(() => checkBindings([one, { ...one, port: "/dev/b" }])).toThrow("one has two serial links");
  expect(() => checkBindings([one, { ...one, device: "two" }])).toThrow("/dev/a has two devices");
  expect(() => checkBindings([{ ...one, device: "bridge" }])).toThrow("no device id");
  expect(() => checkBindings([one, { port: "/dev/b", baudRate: 9600, device: "two" }])).not.toThrow();
});
