/** The emulated Uno runs StandardFirmata as silicon does: the protocol byte by byte, in the board's own time. */
import { describe, expect, test } from "vitest";
import { parseIntelHex } from "../../../boards/simulators/uno/intel-hex.ts";
import { RECEIVE_BYTES_MAX, UnoMachine } from "../../../boards/simulators/uno/machine.ts";
import { runInRealTime } from "../../../boards/simulators/uno/real-time.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { standardFirmata } from "../../support/uno-stream.ts";

const REPORT_VERSION = 0xf9;
const SET_PIN_MODE = 0xf4;
const DIGITAL_PORT_1 = 0x91;
const REPORT_ANALOG_0 = 0xc0;
const ANALOG_0 = 0xe0;
const LED = 13;

function booted(): {
  readonly uno: UnoMachine;
  readonly sent: number[];
  readonly outputs: [number, number][];
} {
  const sent: number[] = [];
  const outputs: [number, number][] = [];
  const uno = new UnoMachine({
    flash: standardFirmata(),
    onSerial: (byte) => sent.push(byte),
    onOutput: (pin, level) => outputs.push([pin, level]),
  });
  uno.advance(4_000_000);
  return { uno, sent, outputs };
}

describe("an Uno with StandardFirmata", () => {
  test("blinks its version and tells it; the same run gives the same bytes at the same cycle", () => {
    const { sent, outputs, uno } = booted();
    expect(sent.slice(0, 3)).toEqual([REPORT_VERSION, 2, 3]);
    expect(outputs.filter(([pin, level]) => pin === LED && level === 1).length).toBeGreaterThan(3);
    const again = booted();
    expect([again.sent, again.outputs, again.uno.cycles]).toEqual([sent, outputs, uno.cycles]);
  });

  test("drives a pin, reads the ADC and a button", () => {
    const { uno, sent, outputs } = booted();
    sent.length = 0;
    uno.receive(Uint8Array.of(SET_PIN_MODE, LED, 1, DIGITAL_PORT_1, 0x20, 0));
    uno.advance(10_000);
    expect(uno.level(LED)).toBe(1);
    expect(outputs.at(-1)).toEqual([LED, 1]);
    uno.setAnalog(0, 0.25);
    uno.receive(Uint8Array.of(REPORT_ANALOG_0, 1));
    uno.advance(60_000);
    const at = sent.indexOf(ANALOG_0);
    expect((sent[at + 1] as number) | ((sent[at + 2] as number) << 7)).toBe(Math.round(0.25 * 1023));
    // Port 0, pin 2.
    uno.receive(Uint8Array.of(SET_PIN_MODE, 2, 0, 0xd0, 1));
    uno.advance(10_000);
    sent.length = 0;
    uno.drive(2, 1);
    uno.advance(10_000);
    expect(sent.slice(sent.indexOf(0x90), sent.indexOf(0x90) + 2)).toEqual([0x90, 4]);
  });

  test("what comes before the receiver is on waits; beyond the bound it is lost and counted", () => {
    const sent: number[] = [];
    const uno = new UnoMachine({ flash: standardFirmata(), onSerial: (byte) => sent.push(byte) });
    uno.receive(Uint8Array.of(REPORT_VERSION));
    uno.advance(4_500_000);
    const versions = sent.filter((byte) => byte === REPORT_VERSION);
    // Its own after the reset, and the one that was asked for.
    expect(versions).toHaveLength(2);
    uno.receive(new Uint8Array(RECEIVE_BYTES_MAX + 10));
    expect(uno.bytesLost).toBeGreaterThan(0);
  });

  test("keeps to a clock and gives up what it cannot catch up", async () => {
    const clock = new SimulatedClock();
    const uno = new UnoMachine({ flash: standardFirmata(), onSerial: () => {} });
    const stop = runInRealTime(uno, clock);
    await clock.advance(50);
    expect(uno.nowUs).toBeGreaterThan(44_000);
    expect(uno.nowUs).toBeLessThan(51_000);
    stop();
    const { cycles } = uno;
    await clock.advance(100);
    expect(uno.cycles).toBe(cycles);
  });
});

describe("Intel HEX", () => {
  const END = ":00000001FF";
  test("puts data where it says, with segments", () => {
    const flash = parseIntelHex(`:0300300002337A1E\n:020000021000EC\n:01000000AA55\r\n${END}`, 0x10001);
    expect([...flash.subarray(0x30, 0x33)]).toEqual([2, 0x33, 0x7a]);
    expect([flash[0], flash[0x10000]]).toEqual([0xff, 0xaa]);
  });
  test.each([
    ["a wrong checksum", `:0300300002337A1F\n${END}`, /Line 1 .*checksum/],
    ["a wrong length", `:0400300002337A1E\n${END}`, /Line 1 .*length/],
    ["other text", `hello\n${END}`, /Line 1 .*no record/],
    ["data beyond the flash", `:01000000AA55\n:0101FF00AA55\n${END}`, /Line 2 .*beyond 256/],
    ["a file that was cut", ":0300300002337A1E", /was cut/],
  ])("refuses %s", (_what, text, message) => {
    expect(() => parseIntelHex(text, 256)).toThrow(message);
  });
});
