/** What real silicon would not let pass: a strict board stops it, another counts it. */
import { describe, expect, test } from "vitest";
import type { ViolationKind } from "../../../boards/simulators/pico/violation.ts";
import { isTardigradeError } from "../../../protocols/error.ts";
import { lab } from "./lab.ts";

const RUN_US = 60_000;

function failure(choice: readonly number[]) {
  const { board } = lab(choice);
  try {
    board.advance(RUN_US);
  } catch (error) {
    if (isTardigradeError(error)) return { error, board };
    throw error;
  }
  return { error: undefined, board };
}

/** Number in firmware/faults.c, kind, address (of the access), part of the message. */
const FAULTS: readonly (readonly [number, ViolationKind, string | undefined, RegExp])[] = [
  [100, "flash-write", "0x10080000", /write of 0x00000001 to flash/],
  [101, "rom-write", "0x00000004", /boot ROM/],
  [102, "unmapped", "0x30000000", /read/],
  [103, "unmapped", "0x20042000", /write/],
  [104, "unaligned", undefined, /read of 4 bytes/],
  [105, "unaligned", undefined, /write of 2 bytes/],
  [106, "in-reset", "0x40048000", /RESETS bit 4/],
  [107, "unmodelled", undefined, /WATCHDOG register 0x00000040/],
  [108, "xip", undefined, /the SSI is off/],
  [109, "undefined-instruction", undefined, /undefined instruction/],
  [110, "hard-fault", undefined, /breakpoint/],
  [111, "hard-fault", "0x10000100", /ARM state/],
  [112, "unmapped", "0x40000000", /instruction fetch/],
  [113, "clock", undefined, /AUXSRC/],
  [114, "clock", undefined, /does not run/],
  [115, "uart", undefined, /no pin/],
  [116, "clock", undefined, /clk_adc/],
  [117, "flash-operation", "0x00080100", /whole units of 4096/],
  [118, "flash-operation", "0x00080000", /not in command mode/],
  [119, "xip", undefined, /cache was not flushed/],
  [120, "unmapped", "0x10200000", /end of flash/],
  [121, "hard-fault", undefined, /udf/],
  [122, "unmodelled", undefined, /PWM/],
  [123, "unmapped", "0x1ffffff8", /write/],
  [124, "unmodelled", "0xd0000054", /SIO/],
  [125, "unmodelled", undefined, /DMA/],
];

describe("strict", () => {
  test.each(FAULTS)("experiment %i throws %s", (number, kind, address, message) => {
    const { error, board } = failure([number]);
    expect(error).toMatchObject({ code: "BOARD_STRICT" });
    expect(error?.message).toMatch(message);
    expect(error?.context.operation).toBe(kind);
    expect(error?.context.pc).toMatch(/^0x(0000|1000|2000|2003|4000)[0-9a-f]{4}$/);
    if (address !== undefined) expect(error?.context.address).toBe(address);
    expect(board.state).toBe("halted");
    expect(board.failure).toBe(error);
    expect(() => board.advance(1)).toThrow(error as Error);
  });

  test("names the instruction, and a reset leads out", () => {
    const { error, board } = failure([112]);
    expect(error?.context.pc).toBe("0x40000000");
    board.reset();
    expect(board.state).toBe("running");
    expect(() => board.advance(RUN_US)).toThrow();
  });

  test("a watchdog that selects nothing to reset", () => {
    expect(failure([7, 1, 1]).error?.message).toMatch(/PSM_WDSEL/);
  });

  test("a correct firmware has none", () => {
    for (const choice of [0, 1, 2, 3, 4, 5, 6, 8]) {
      const { board } = lab([choice]);
      board.advance(150_000);
      expect([choice, board.violations.size]).toEqual([choice, 0]);
    }
  });
});

describe("not strict", () => {
  test.each(FAULTS)("experiment %i is counted as %s, and the board goes on", (number, kind) => {
    const { board } = lab([number], { strict: false });
    board.advance(RUN_US);
    expect(board.violations.get(kind)).toBeGreaterThan(0);
    expect(board.state).toBe("running");
  });
});

describe("faults delivered", () => {
  test.each([102, 104, 109, 110, 111, 112])("experiment %i reaches the firmware's handler once", (number) => {
    const { board, kept } = lab([number], { deliverFaults: true });
    board.advance(1000);
    expect(board.violations.size).toBe(0);
    const before = kept(10);
    board.advance(RUN_US);
    expect(kept(10)).toBe((before + 1) >>> 0);
    expect(board.state).toBe("running");
  });
  test("where there is no stack to enter it, the processor locks up", () => {
    const { board } = lab([123], { deliverFaults: true });
    expect(() => board.advance(RUN_US)).toThrowError(expect.objectContaining({ code: "BOARD_STRICT" }));
    expect(board.state).toBe("halted");
  });
  test("what is no fault on silicon still throws", () => {
    const { board } = lab([100], { deliverFaults: true });
    expect(() => board.advance(RUN_US)).toThrowError(expect.objectContaining({ code: "BOARD_STRICT" }));
  });
});
