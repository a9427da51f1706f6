/** The emulated Pico runs real images: UARTs, alarms and sleep, pins, ADC, resets, and repeats to the bit. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { PicoBoard } from "../../../boards/simulators/pico/board.ts";
import { type Lab, lab, labImage } from "./lab.ts";

const START_US = 20_000;
const text = (bytes: readonly number[]) => String.fromCharCode(...bytes);
const bytes = (string: string) => new TextEncoder().encode(string);

describe("boot", () => {
  test("runs the vectors at 0x10000100 when boot2's CRC is right", () => {
    const { board, kept } = lab([255]);
    board.advance(START_US);
    expect(board.state).toBe("running");
    expect(kept(255)).toBe(0xd09e);
  });

  test.each([0, 251, 252])("stays in USB boot when byte %i of boot2 is another", (at) => {
    const flash = labImage(0);
    flash[at] = (flash[at] as number) ^ 0x80;
    const { board } = lab([], { flash });
    board.advance(START_US);
    expect(board.state).toBe("usb-boot");
    expect(board.failure).toMatchObject({ code: "BOARD_NO_BOOT" });
    expect(board.nowUs).toBe(START_US);
    expect(board.nextEventUs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("enters USB boot with BOOTSEL held, takes an image and leaves by a reset", () => {
    const board = new PicoBoard({ flash: new Uint8Array(0) });
    board.powerOn({ bootsel: true });
    expect(board.state).toBe("usb-boot");
    expect(board.failure).toBeUndefined();
    board.flashWrite(labImage(255));
    board.reset("watchdog");
    board.advance(START_US);
    expect(board.state).toBe("running");
    expect(() => board.flashWrite(labImage(255))).toThrowError(
      expect.objectContaining({ code: "BOARD_STRICT" }),
    );
  });

  test("the firmware goes to USB boot by the ROM's function", () => {
    const { board } = lab([11]);
    board.advance(START_US);
    expect(board.state).toBe("usb-boot");
    expect(board.failure).toBeUndefined();
  });
});

test("signed 64-bit differences and sums have the processor's flags", () => {
  // rp2040js alone has V wrong after SBCS and ADCS with 0x7fffffff and a carry: every comparison with the largest number.
  const { board, kept } = lab([13]);
  board.advance(START_US);
  const largest = 2n ** 63n - 1n;
  const values = [-largest - 1n, -largest, -1n, 0n, 1n, largest - 1n, largest];
  const signAndOverflow = (exact: bigint) => {
    const wrapped = BigInt.asIntN(64, exact);
    return (wrapped < 0n ? 8 : 0) | (wrapped === exact ? 0 : 1);
  };
  const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));
  for (const [index, [a, b]] of pairs.entries()) {
    expect([a, b, kept(1 + 2 * index) & 9]).toEqual([a, b, signAndOverflow(a - b)]);
    expect([a, b, kept(2 + 2 * index) & 9]).toEqual([a, b, signAndOverflow(a + b)]);
    expect(kept(1 + 2 * index) & 2).toBe(BigInt.asUintN(64, a) >= BigInt.asUintN(64, b) ? 2 : 0);
  }
});

describe("UART", () => {
  test("both echo by interrupts, at the pace of their baud rate", () => {
    const { board, sent, kept } = lab([0]);
    board.advance(START_US);
    const lines = ["THE quick brown fox jumps over the lazy dog, ".repeat(20), "SECOND line ".repeat(30)];
    for (const uart of [0, 1] as const) board.receiveUart(uart, bytes(lines[uart] as string));
    // 10 bits a byte at 115,200 baud: 868 bytes in 75 ms; the other at half the rate.
    board.advance(40_000);
    const inTime = [sent[0].length, sent[1].length];
    expect(inTime[0]).toBeGreaterThan(400);
    expect(inTime[0]).toBeLessThan(461);
    expect(inTime[1]).toBeGreaterThan(180);
    expect(inTime[1]).toBeLessThan(231);
    board.advance(200_000);
    const turned = (line = "") => text([...bytes(line)].map((byte) => byte ^ 0x20));
    expect(text(sent[0])).toBe(turned(lines[0]));
    expect(text(sent[1])).toBe(turned(lines[1]));
    expect([kept(2), kept(3), board.overruns(0)]).toEqual([0, 0, 0]);
  });

  test("a few bytes arrive by the receive time-out", () => {
    const { board, sent } = lab([0]);
    board.advance(START_US);
    board.receiveUart(0, bytes("hi"));
    // Two characters and 32 bit times in, one out: 10 × 3 + 32 bits make 538 us; the other's 10 follow.
    board.advance(530);
    expect(sent[0]).toEqual([]);
    board.advance(110);
    expect(text(sent[0])).toBe("HI");
  });

  test("what comes before the UART is on waits for it", () => {
    const { board, sent } = lab([0]);
    expect(board.receiveUart(0, bytes("early"))).toBe(5);
    board.advance(START_US + 2000);
    expect(text(sent[0])).toBe("EARLY");
  });

  test("a FIFO that is not read overruns after 32 bytes, and the next byte says so", () => {
    const { board, kept } = lab([10, 20]);
    board.advance(5000);
    board.receiveUart(0, new Uint8Array(100).fill(65));
    board.advance(40_000);
    expect(board.overruns(0)).toBe(68);
    board.receiveUart(0, bytes("B"));
    board.advance(1000);
    expect([kept(1), kept(2)]).toEqual([33, 1]);
  });

  test("the transmit interrupt comes when the FIFO drains through its trigger, and not before", () => {
    const few = lab([12, 4]);
    few.board.advance(START_US);
    expect([few.kept(1), few.sent[0].length]).toEqual([0, 4]);
    const more = lab([12, 8]);
    more.board.advance(START_US);
    expect([more.kept(1), more.sent[0].length]).toEqual([1, 8]);
  });

  test("without FIFOs, and its registers after a reset of the block", () => {
    const { board, sent, kept } = lab([15, 5]);
    board.advance(START_US);
    board.receiveUart(0, bytes("HAL-8"));
    board.advance(2000);
    expect(text(sent[0])).toBe("IBM.9");
    expect([kept(1), kept(2), kept(3)]).toEqual([0x300, 0, 0x11]);
  });

  test("holds no more than its line, and nothing without power", () => {
    const { board } = lab([255]);
    expect(board.receiveUart(0, new Uint8Array(2 ** 21))).toBe(2 ** 20);
    expect(board.receiveUart(0, bytes("x"))).toBe(0);
    board.powerCut();
    expect(board.receiveUart(0, bytes("x"))).toBe(0);
  });
});

describe("time", () => {
  test("alarms come to the microsecond; sleep executes nothing", () => {
    const { board, kept } = lab([1]);
    board.advance(START_US);
    expect(board.nextEventUs()).toBeGreaterThan(1_000_000);
    const before = board.instructions;
    board.advance(3600e6);
    expect(kept(1)).toBe(3600);
    expect(kept(2)).toBeLessThanOrEqual(1);
    expect((board.instructions - before) / 3600).toBeLessThan(80);
  });

  test("WFI with interrupts masked wakes without taking the interrupt", () => {
    const { board, kept } = lab([1]);
    board.advance(10e6);
    expect(kept(1)).toBeGreaterThan(8);
    expect(kept(3)).toBe(0);
  });

  test("WFI does not sleep through an interrupt that is pending already", () => {
    const { board, kept } = lab([17]);
    board.advance(START_US);
    expect(kept(1)).toBe(1);
  });

  test("nextEventUs is now while it executes, and nothing when it is off", () => {
    const { board } = lab([9]);
    board.advance(START_US);
    expect(board.nextEventUs()).toBe(board.nowUs);
    board.powerCut();
    expect(board.nextEventUs()).toBe(Number.POSITIVE_INFINITY);
    board.advance(500);
    expect(board.nowUs).toBeCloseTo(START_US + 500, 0);
  });

  test("the timer's 64 bits, its alarms, and one set for a time gone by", () => {
    const { board, kept } = lab([16]);
    board.advance(START_US);
    expect([kept(1), kept(3), kept(4), kept(5)]).toEqual([1, 7, 0, 1]);
    expect(kept(2)).toBeGreaterThanOrEqual(0x100);
    expect(kept(2)).toBeLessThan(0x110);
    expect(board.nextEventUs()).toBeGreaterThan(4294e6);
  });

  test("the start-up waits for crystal and PLL: 1.1 ms at least", () => {
    const { board, kept } = lab([255]);
    board.advance(1000);
    expect(kept(255)).not.toBe(0xd09e);
    board.advance(9000);
    expect(kept(255)).toBe(0xd09e);
  });
});

describe("pins and ADC", () => {
  test("an input's edge interrupts, an output drives and reads back", () => {
    const { board, kept } = lab([2]);
    board.advance(START_US);
    expect([board.pins.mode(2), board.pins.mode(3), board.pins.mode(20)]).toEqual(["output", "input", "off"]);
    board.pins.drive(3, 1);
    board.advance(100);
    expect([board.pins.level(2), kept(1), kept(2)]).toEqual([1, 1, 1]);
    board.pins.drive(3, 1);
    board.advance(100);
    expect(kept(1)).toBe(1);
    board.pins.drive(3, 0);
    board.advance(100);
    expect([board.pins.level(2), kept(1), kept(2)]).toEqual([0, 2, 0]);
  });

  test("a pull-up is read, and what drives a pin outside outlives a reset", () => {
    const { board, kept } = lab([2]);
    board.advance(START_US);
    expect(kept(3)).toBe(1);
    board.pins.drive(15, 0);
    board.reset();
    board.advance(START_US);
    expect(kept(3)).toBe(0);
    board.pins.release(15);
    expect(board.pins.level(15)).toBe(1);
  });

  test("PWM gives its duty, and needs no events for it", () => {
    const { board } = lab([2]);
    board.advance(START_US);
    expect(board.pins.mode(6)).toBe("pwm");
    expect(board.pins.level(6)).toBe(Math.round(65_535 / 4));
    expect(board.nextEventUs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("a PWM slice interrupts as it wraps; the other counts by itself", () => {
    const { board, kept } = lab([14]);
    board.advance(START_US);
    const before = kept(1);
    board.advance(80_000);
    expect(kept(1) - before).toBe(80);
    expect([kept(2) & 1, kept(4)]).toEqual([1, 2]);
    expect(kept(3)).toBeLessThan(10);
    board.advance(30_000);
    expect(kept(1)).toBeGreaterThan(100);
    expect(board.nextEventUs() - board.nowUs).toBeLessThan(1000);
  });

  test("the ADC reads its source when it converts, with 12 bits", () => {
    const asked: number[] = [];
    const { board, kept } = lab([3], {
      analog: (channel, us) => {
        asked.push(us);
        return [0, 0.5, 1, 2, Number.NaN][channel] as number;
      },
    });
    board.advance(START_US);
    expect([1, 2, 3, 4].map(kept)).toEqual([0, 2048, 4095, 4095]);
    expect(kept(5)).toBe(1 << 25);
    // 96 cycles of a 12 MHz clock.
    expect(kept(8)).toBeGreaterThanOrEqual(8);
    expect(asked.every((us) => us > 1000 && us <= START_US)).toBe(true);
  });
});

describe("reset", () => {
  const reasons = (choice: readonly number[], us: number) => {
    const made = lab([7, ...choice]);
    made.board.advance(us);
    return { ...made, found: { reason: made.kept(1), scratch: made.kept(2), warm: made.kept(4) } };
  };
  test("by power: no reason, scratch zero, RAM noise", () => {
    const { kept } = reasons([9], 1000);
    expect([kept(1), kept(2)]).not.toEqual([0, 0]);
    expect(reasons([9], START_US).found).toEqual({ reason: 0, scratch: 0, warm: 0 });
  });
  test.each([
    ["watchdog", 0, 80_000, 1],
    ["trigger", 1, START_US, 2],
    ["SYSRESETREQ", 2, START_US, 0],
  ] as const)("by %s: its reason, scratch and RAM kept", (_, choice, us, reason) => {
    const { board, found, kept } = reasons([choice], us);
    expect(found).toEqual({ reason, scratch: 1, warm: 1 });
    expect(kept(3)).toBe(1 << 8);
    expect(board.boots).toBe(2);
  });
  test("a fed watchdog does not fire; one that is no longer fed does", () => {
    const { board } = reasons([3], 400_000);
    expect(board.boots).toBe(1);
    board.advance(100_000);
    expect(board.boots).toBe(2);
  });
  test("by the host: as each of them", () => {
    const { board, kept } = lab([7, 3]);
    board.advance(5000);
    for (const [kind, reason, scratch, chip] of [
      ["watchdog", 1, 1, 1 << 8],
      ["software", 1, 2, 1 << 8],
      ["forced", 2, 3, 1 << 8],
      ["run", 0, 0, 1 << 16],
    ] as const) {
      board.reset(kind);
      board.advance(5000);
      expect([kind, kept(1), kept(2), kept(3), kept(4)]).toEqual([kind, reason, scratch, chip, 1]);
    }
    board.powerCut();
    board.powerOn();
    board.advance(5000);
    expect([kept(1), kept(2), kept(3), kept(4)]).toEqual([0, 0, 1 << 8, 0]);
  });
  test("RAM is other noise at each power-on, and the same by the seed", () => {
    const image = (seed: number) => {
      const { board } = lab([255], { seed });
      const first = board.ramImage();
      board.powerCut();
      board.powerOn();
      return [first, board.ramImage()].map((ram) => createHash("sha256").update(ram).digest("hex"));
    };
    expect(new Set([...image(1), ...image(2)]).size).toBe(4);
    expect(image(1)).toEqual(image(1));
  });
});

describe("determinism", () => {
  const digest = ({ board, sent }: Lab) =>
    createHash("sha256").update(board.ramImage()).update(Uint8Array.from(sent[0])).digest("hex");
  /** Two boards in turns of `us`. */
  const interleaved = (us: number, seeds: readonly number[]) => {
    const boards = seeds.map((seed) => lab([8], { seed }));
    for (let at = 0; at < 100_000; at += us) for (const { board } of boards) board.advance(us);
    return boards.map((made) => `${made.board.cycles} ${digest(made)}`);
  };
  test("two interleaved boards, run again and in other steps, end alike to the bit", () => {
    const first = interleaved(1000, [1, 2]);
    expect(first[0]).not.toBe(first[1]);
    expect(interleaved(1000, [1, 2])).toEqual(first);
    expect(interleaved(125, [2, 1]).reverse()).toEqual(first);
    expect(interleaved(50_000, [1, 2])).toEqual(first);
  });
});
