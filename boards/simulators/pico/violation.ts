/**
 * What firmware may not do. rp2040js lets pass much that real silicon answers with a HardFault, a hang or garbage; the
 * board reports each such thing here. A strict board throws; another one counts and goes on as well as it can.
 */
import { TardigradeError } from "../../../protocols/error.ts";

export const VIOLATIONS = [
  /** A write through the XIP window: flash changes by erase and program only. */
  "flash-write",
  "rom-write",
  /** Nothing answers at this address: a bus error, so a HardFault. */
  "unmapped",
  /** A Cortex-M0+ has no unaligned access: a HardFault. */
  "unaligned",
  /** A register or use of a peripheral that neither rp2040js nor this board models; it must not look as if it worked. */
  "unmodelled",
  /** A peripheral whose bit in RESETS is still set. */
  "in-reset",
  /** Flash fetched or read while it is not memory-mapped, is busy, or its cache is stale. */
  "xip",
  /** A flash function with wrong arguments, or out of order. */
  "flash-operation",
  "undefined-instruction",
  /** A state only a HardFault leads out of: breakpoint without debugger, branch to ARM state, a vector without bit 0. */
  "hard-fault",
  /** A clock that does not run, or was switched in a way that glitches. */
  "clock",
  /** A UART that sends into nothing: no pin, no baud rate. */
  "uart",
  /** A watchdog that fires and resets nothing. */
  "watchdog",
] as const;
export type ViolationKind = (typeof VIOLATIONS)[number];

/** Those that are a HardFault on silicon, and so reach the firmware's own handler where the board is told to deliver them. */
export const FAULTS: ReadonlySet<ViolationKind> = new Set([
  "unmapped",
  "unaligned",
  "undefined-instruction",
  "hard-fault",
]);

/** Thrown through rp2040js to leave the faulting instruction; the board then enters the firmware's HardFault handler. */
export class FaultSignal extends Error {
  override readonly name = "FaultSignal";
  readonly violation: TardigradeError;
  /** Of the faulting instruction: what the exception returns to. */
  readonly pc: number;

  constructor(violation: TardigradeError, pc: number) {
    super(violation.message);
    this.violation = violation;
    this.pc = pc;
  }
}

export const hex = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;

export type OnViolation = "throw" | "deliver" | "count";

export class Violations {
  readonly counts = new Map<ViolationKind, number>();
  readonly #on: OnViolation;
  /** The instruction that touched the address; the machine sets it once there is a processor. */
  pc: (address: number | undefined) => number = () => 0;

  constructor(on: OnViolation) {
    this.#on = on;
  }

  /** Throws BOARD_STRICT, or a FaultSignal, or counts. */
  report(kind: ViolationKind, what: string, address?: number): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    if (this.#on === "count") return;
    const pc = this.pc(address);
    const at = address === undefined ? "" : ` at ${hex(address)}`;
    const error = new TardigradeError("BOARD_STRICT", `${what}${at}, pc ${hex(pc)} (${kind})`, {
      context: {
        component: "pico",
        operation: kind,
        pc: hex(pc),
        ...(address === undefined ? {} : { address: hex(address) }),
      },
    });
    throw this.#on === "deliver" && FAULTS.has(kind) ? new FaultSignal(error, pc) : error;
  }
}
