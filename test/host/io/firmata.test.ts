/** johnny-five on an emulated Uno that runs StandardFirmata: what it says of the pins is what the pins are. */
import { afterEach, describe, expect, test } from "vitest";
import { type FirmataPart, johnnyFive, SYSEX_BYTES_MAX } from "../../../host/io/firmata.ts";
import { type UnoStream, unoStream } from "../../support/uno-stream.ts";
import { until } from "../../support/until.ts";

const PARTS: readonly FirmataPart[] = [
  { name: "knob", kind: "sensor", analog: 0, low: 0, high: 200, everyMs: 100 },
  { name: "air", kind: "thermometer", analog: 1, controller: "TMP36", everyMs: 100 },
  { name: "door", kind: "button", pin: 2 },
  { name: "lamp", kind: "led", pin: 13 },
  { name: "pump", kind: "relay", pin: 7 },
  { name: "vent", kind: "servo", pin: 9 },
  { name: "glow", kind: "led", pin: 6 },
  { name: "nowhere", kind: "sensor", analog: 9 },
  { name: "no-pin", kind: "led", pin: 99 },
];

const boards: UnoStream[] = [];
afterEach(() => {
  for (const board of boards.splice(0)) board.unplug();
});

async function opened() {
  const board = unoStream();
  boards.push(board);
  board.machine.setAnalog(0, 0.5);
  // TMP36: 0.5 V at 0 degrees, 10 mV a degree, of 5 V.
  board.machine.setAnalog(1, 0.75 / 5);
  const values = new Map<string, number | boolean>();
  const problems: string[] = [];
  const count = { heard: 0 };
  const session = await johnnyFive().open(board.stream, PARTS, {
    onValue: (name, value) => values.set(name, value),
    onProblem: (code, message) => problems.push(`${code} ${message}`),
    onHeard: () => {
      count.heard += 1;
    },
  });
  return { ...board, session, values, problems, count };
}

describe("a Firmata session", () => {
  test("readings, states, controls; pins that cannot be are told and the others go on", async () => {
    const { machine, session, values, problems } = await opened();
    expect(session).toMatchObject({ firmware: "StandardFirmata", version: "2.3" });
    expect(session.states).toEqual({ door: false, lamp: false, pump: false, glow: false });
    expect(problems).toEqual([
      expect.stringMatching(/^FIRMATA_COMPONENT nowhere: .*no analog channel A9; it has 6/),
      expect.stringMatching(/^FIRMATA_COMPONENT no-pin: pin 99/),
    ]);
    await until("readings", () => values.has("knob") && values.has("air"));
    expect(values.get("knob")).toBeCloseTo(100, 0);
    expect(values.get("air")).toBeCloseTo(25, 0);
    machine.setAnalog(0, 1);
    await until("the knob is turned", () => values.get("knob") === 200);

    expect(session.set("lamp", true)).toBe(true);
    expect(session.set("pump", true)).toBe(true);
    await until("lamp and pump", () => machine.level(13) === 1 && machine.level(7) === 1);
    session.set("lamp", false);
    await until("the lamp is off", () => machine.level(13) === 0);
    expect(() => session.set("lamp", 50)).toThrow(/no PWM/);
    session.set("glow", 50);
    session.set("vent", 90);
    expect(session.set("nowhere", true)).toBe(false);

    machine.drive(2, 1);
    await until("the button is down", () => values.get("door") === true);
    machine.drive(2, 0);
    await until("the button is up", () => values.get("door") === false);
  });

  test("a board that stops sending gives no readings any more, whatever johnny-five repeats", async () => {
    const { session, values, count, stream } = await opened();
    await until("readings", () => values.has("knob"));
    stream.close();
    // The timers of the components go on, as when a cable is pulled and not noticed.
    values.clear();
    await new Promise((resolve) => setTimeout(resolve, 250));
    values.clear();
    const { heard } = count;
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect([values.size, count.heard]).toEqual([0, heard]);
    session.close();
  });

  test("answers a ping; garbage and a message without an end are left out", async () => {
    const { session, problems, count, inject, values } = await opened();
    const before = count.heard;
    session.ping();
    await until("an answer", () => count.heard > before);
    const endless = Uint8Array.of(0xf0, ...new Array<number>(SYSEX_BYTES_MAX + 10).fill(1));
    // Where half a message of the board stands before it, it is taken for the other half.
    await until("a message without an end is left out", () => {
      inject(endless);
      return /FIRMATA_DATA A message had more than/.test(problems.at(-1) ?? "");
    });
    for (const garbage of [
      [0x01, 0x02, 0x03],
      [0xf0, 0x6e, 0xf7],
      [0xf0, 0x6a, 0xf7],
      [0xf0, 0x6c, 0xf7],
    ]) {
      inject(Uint8Array.from(garbage));
    }
    values.clear();
    await until("readings after it", () => values.has("knob"));
    session.close();
    values.clear();
    inject(Uint8Array.of(0xe0, 1, 1));
    expect(values.size).toBe(0);
  });

  test("a port that closes in the middle of the handshake", async () => {
    const board = unoStream();
    boards.push(board);
    const opening = johnnyFive().open(board.stream, [], {
      onValue: () => {},
      onProblem: () => {},
      onHeard: () => {},
    });
    // After the packages are loaded.
    await new Promise((resolve) => setTimeout(resolve, 50));
    board.unplug();
    await expect(opening).rejects.toMatchObject({ code: "SERIAL_LOST" });
  });
});
