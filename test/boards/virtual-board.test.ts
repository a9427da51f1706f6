/** The base and the example apps on the virtual board: what travels, what survives, what is stated as lost. */
import { describe, expect, test } from "vitest";
import { CAPABILITIES, ERRORS } from "../../protocols/table.ts";
import { boardRig } from "../support/board-rig.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
const BLINK = "firmware/apps/blink/app.ts";
/** 21 Cel and 50 % on the greenhouse's scales. */
const mild = (channel: number) => (channel === 0 ? (21 + 40) / 125 : 0.5);

describe("session", () => {
  test("says hello with its image, opens on welcome and sends readings in order", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(10_000);
    expect(rig.hello).toMatchObject({
      boot: 1,
      app: "greenhouse",
      board: "virtual",
      version: "1.0.0",
      reason: 0,
      oldestSeq: 1,
    });
    expect(rig.hello?.metrics.map((metric) => metric.name)).toEqual([
      "temperature",
      "temperatureMean",
      "soilMoisture",
    ]);
    const numbered = rig.received.filter((message) => "seq" in message).map((message) => message.seq);
    expect(numbered).toEqual(numbered.map((_, index) => index + 1));
    const readings = rig.of("telemetry").flatMap((message) => message.readings);
    expect(readings.length).toBe(30 - rig.board.figures().readingsBatched);
    expect(readings[0]?.value).toBeCloseTo(21, 2);
    expect(rig.board.figures().messagesHeld).toBe(0);
  });

  test("holds what is not acknowledged and sends it again after silence", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild, window: 2 });
    rig.acknowledge = false;
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(2_500);
    expect(rig.board.figures()).toMatchObject({ messagesInFlight: 2, sessionOpen: true });
    const before = rig.received.length;
    rig.acknowledge = true;
    await rig.clock.advance(5_000);
    expect(rig.received.length).toBeGreaterThan(before);
    expect(rig.of("log").filter((message) => message.seq === 1).length).toBe(2);
    expect(rig.board.figures().messagesHeld).toBe(0);
  });

  test("sends from the acknowledged message on when asked to resend", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.acknowledge = false;
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(2_500);
    const sequences = () => rig.received.flatMap((message) => ("seq" in message ? [message.seq] : []));
    const highest = Math.max(...sequences());
    const count = rig.received.length;
    rig.send({ kind: "durableAck", boot: 1, seq: 1, resend: true });
    expect(sequences().slice(sequences().length - (highest - 1))).toEqual(
      Array.from({ length: highest - 1 }, (_, index) => index + 2),
    );
    expect(rig.received.length).toBe(count + highest - 1);
  });

  test("backs off while nobody answers and greets again when asked", async () => {
    const rig = await boardRig(BLINK);
    rig.capacity = 0;
    rig.board.powerOn();
    rig.board.setLink(true);
    rig.capacity = 1000;
    const quiet = await boardRig(BLINK);
    quiet.board.powerOn();
    expect(quiet.received).toHaveLength(0);
    await rig.clock.advance(2_000);
    expect(rig.of("hello").length).toBe(1);
    rig.send({ kind: "helloRequest", code: ERRORS.SESSION_UNKNOWN.number });
    expect(rig.of("hello").length).toBe(2);
  });

  test("a refused version asks again only after a minute", async () => {
    const rig = await boardRig(BLINK);
    rig.board.powerOn();
    rig.board.setLink(true);
    rig.send({
      kind: "welcome",
      session: rig.hello?.session ?? 0,
      code: ERRORS.PROTOCOL_VERSION.number,
      boot: 0,
      seq: 0,
      window: 1,
      wallMs: 0,
    });
    await rig.clock.advance(50_000);
    expect(rig.of("hello")).toHaveLength(1);
    expect(rig.board.figures().sessionOpen).toBe(false);
    await rig.clock.advance(15_000);
    expect(rig.of("hello")).toHaveLength(2);
  });
});

describe("outbox", () => {
  test("a long outage drops the oldest and states it without a hole", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    await rig.clock.advance(3_600_000);
    const { readingsProduced, readingsDropped } = rig.board.figures();
    expect(readingsDropped).toBeGreaterThan(1_000);
    rig.board.setLink(true);
    await rig.clock.advance(60_000);
    const [drop] = rig.of("drop");
    expect(drop).toMatchObject({ boot: 1, from: 1, readings: readingsDropped });
    const sequences = rig.received.flatMap((message) => ("seq" in message ? [message.seq] : []));
    expect(sequences).toEqual(sequences.map((_, index) => (drop?.seq ?? 0) + index));
    const stored = rig.of("telemetry").reduce((sum, message) => sum + message.readings.length, 0);
    const { readingsProduced: end, readingsBatched } = rig.board.figures();
    expect(stored + readingsDropped + readingsBatched).toBe(end);
    expect(end).toBeGreaterThan(readingsProduced);
  });

  test("a message that was sent and then dropped is stated apart from those never sent", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild, window: 4 });
    rig.acknowledge = false;
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(10_000);
    rig.board.setLink(false);
    await rig.clock.advance(3_600_000);
    rig.received.length = 0;
    rig.acknowledge = true;
    rig.board.setLink(true);
    await rig.clock.advance(60_000);
    const drops = rig.of("drop");
    expect(drops.slice(0, 4).map((drop) => [drop.from, drop.seq])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(drops[4]?.from).toBe(5);
    expect(drops).toHaveLength(5);
  });

  test("survives a warm reset with its messages and numbers the new boot from 1", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    await rig.clock.advance(20_000);
    // The batch that is still open becomes one message more of the old boot.
    const { messagesHeld, readingsBatched, readingsProduced } = rig.board.figures();
    expect(readingsBatched).toBeGreaterThan(0);
    const held = messagesHeld + 1;
    expect(held).toBeGreaterThan(5);
    rig.board.reset("watchdog");
    await rig.clock.advance(5_000);
    rig.board.setLink(true);
    await rig.clock.advance(10_000);
    expect(rig.hello).toMatchObject({ boot: 2, reason: 2, oldestBoot: 1, oldestSeq: 1 });
    expect(rig.hello?.lostBoot).toBeUndefined();
    const numbered = rig.received.flatMap((message) =>
      "seq" in message ? [[message.boot, message.seq]] : [],
    );
    expect(numbered.slice(0, held)).toEqual(Array.from({ length: held }, (_, index) => [1, index + 1]));
    expect(numbered[held]).toEqual([2, 1]);
    const ofOldBoot = rig.of("telemetry").filter((message) => message.boot === 1);
    expect(ofOldBoot.flatMap((message) => message.readings)).toHaveLength(readingsProduced);
  });

  test("a power cut loses it, and hello states the range that may be missing until it is durable", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    await rig.clock.advance(20_000);
    rig.board.powerCut();
    expect(rig.board.isPowered).toBe(false);
    rig.board.powerOn();
    rig.acknowledge = false;
    rig.board.setLink(true);
    await rig.clock.advance(5_000);
    expect(rig.hello).toMatchObject({
      boot: 2,
      reason: 0,
      oldestBoot: 2,
      oldestSeq: 1,
      lostBoot: 1,
      lostTo: 1024,
    });
    rig.send({ kind: "helloRequest", code: 0 });
    expect(rig.hello?.lostBoot).toBe(1);
    rig.board.reset("watchdog");
    expect(rig.hello).toMatchObject({ boot: 3, lostBoot: 1, lostTo: 1024 });
    await rig.clock.advance(100);
    rig.send({ kind: "durableAck", boot: 3, seq: 1 });
    rig.send({ kind: "helloRequest", code: 0 });
    expect(rig.hello?.lostBoot).toBeUndefined();
  });
});

describe("shadow, commands, pins", () => {
  test("applies what fits a declared key, reports it with the version, leaves the rest", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(1_500);
    rig.send({
      kind: "shadow",
      role: 0,
      version: 9,
      entries: [
        { key: "fanOnC", value: 20 },
        { key: "fanOffC", value: true },
        { key: "unknown", value: 1 },
      ],
    });
    await rig.clock.advance(30_000);
    const reported = new Map(
      rig
        .of("shadow")
        .at(-1)
        ?.entries.map(({ key, value }) => [key, value]),
    );
    expect(rig.of("shadow").at(-1)?.version).toBe(9);
    expect(reported.get("fanOnC")).toBe(20);
    expect(reported.get("fanOffC")).toBe(26);
    expect(reported.get("fan")).toBe(true);
    expect(reported.has("unknown")).toBe(false);
    expect(rig.of("log").at(-1)?.text).toBe("fan on at 20.0 Cel, pump on at 30 %");
    expect(rig.board.pins.level(2)).toBe(1);
    expect(rig.of("pinStatus").at(-1)?.pins).toContainEqual({ pin: 2, mode: 2, value: 1 });
  });

  test("runs a command once and answers a repeated id from memory", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(1_500);
    const command = { kind: "command", id: 77, name: "water", args: [{ key: "seconds", value: 3 }] } as const;
    rig.send(command);
    rig.send(command);
    expect(rig.of("commandResult")).toEqual([
      { kind: "commandResult", id: 77, code: 0, result: 3 },
      { kind: "commandResult", id: 77, code: 0, result: 3 },
    ]);
    expect(rig.board.pins.level(3)).toBe(1);
    rig.send({ kind: "command", id: 78, name: "fly", args: [] });
    rig.send({ kind: "command", id: 79, name: "water", args: [{ key: "seconds", value: -1 }] });
    expect(
      rig
        .of("commandResult")
        .slice(2)
        .map((result) => result.code),
    ).toEqual([ERRORS.COMMAND_UNKNOWN.number, ERRORS.ARGUMENT.number]);
    await rig.clock.advance(5_000);
    expect(rig.board.pins.level(3)).toBe(0);
  });

  test("an undeclared capability answers a status and one record, and the app goes on", async () => {
    const rig = await boardRig(GREENHOUSE, { analog: mild, capabilities: 1 << CAPABILITIES.telemetry });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(5_000);
    const denied = rig.of("error").filter((record) => record.code === ERRORS.CAPABILITY_DENIED.number);
    expect(new Set(denied.map((record) => record.detail)).size).toBe(denied.length);
    expect(denied.length).toBeGreaterThanOrEqual(4);
    expect(rig.board.pins.mode(2)).toBe("off");
    expect(rig.traps).toEqual([]);
  });

  test("refuses foreign bytes, counts them by powers of two, and goes on", async () => {
    const rig = await boardRig(BLINK);
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(10);
    for (let round = 0; round < 9; round += 1) rig.board.receive(new Uint8Array([0xff, round]));
    await rig.clock.advance(1_000);
    expect(rig.of("error").map((record) => record.count)).toEqual([1, 2, 4, 8]);
    expect(rig.board.figures().messagesRefused).toBe(9);
  });
});

describe("traps", () => {
  test("an app that traps is reported, restarted and goes on; the base stays", async () => {
    const rig = await boardRig("test/fixtures/apps/trap/app.ts");
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(3_500);
    expect(rig.traps.length).toBe(3);
    const traps = rig.of("error").filter((record) => record.code === ERRORS.APP_TRAP.number);
    expect(traps.map((record) => record.count)).toEqual([1, 2, 3]);
    expect(rig.of("telemetry").length).toBeGreaterThan(0);
    expect(rig.board.figures().boot).toBe(1);
  });

  test("the readings that a trapping app had in its batch are sent all the same", async () => {
    const rig = await boardRig("test/fixtures/apps/trap-batch/app.ts");
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(3_600);
    const stored = rig.of("telemetry").reduce((sum, message) => sum + message.readings.length, 0);
    const { readingsProduced, readingsDropped, readingsBatched } = rig.board.figures();
    expect(readingsProduced).toBeGreaterThanOrEqual(12);
    expect(stored + readingsDropped + readingsBatched).toBe(readingsProduced);
  });
});

test("the same seed, inputs and deadlines give the same bytes", async () => {
  const run = async () => {
    const rig = await boardRig(GREENHOUSE, {
      analog: (channel, us) => (mild(channel) + (us % 7_000_000) / 1e9) % 1,
    });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(60_000);
    return JSON.stringify(rig.received);
  };
  expect(await run()).toBe(await run());
});
