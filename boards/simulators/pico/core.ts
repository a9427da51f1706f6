/**
 * rp2040js' processor, held to what a Cortex-M0+ does: WFI with PRIMASK set wakes without taking the interrupt, one that is
 * pending already is not slept through, branches and vectors without bit 0 fault, and SEV reaches its own processor.
 */
import type { Logger, RP2040 } from "rp2040js";
import type { Violations } from "./violation.ts";

type Core = RP2040["core"];

const THUMB = 1;
const EXC_RETURN = 0xf;
const HANDLER_MODE = 1;

/** True when a pending interrupt would preempt if PRIMASK were clear: what ends a WFI. */
export function wakes(core: Core): boolean {
  if (core.pendingNMI) return true;
  const active = core.exceptionPriority(core.IPSR);
  const pending = core.pendingInterrupts & core.enabledInterrupts;
  for (let priority = 0; priority < active; priority += 1) {
    if (pending & (core.interruptPriorities[priority] as number)) return true;
    if (core.pendingSVCall && priority === core.svCallPriority) return true;
    if (core.pendingPendSV && priority === core.pendSVPriority) return true;
    if (core.pendingSystick && priority === core.systickPriority) return true;
  }
  return false;
}

/** Bits 15 to 6 of the instructions that take the carry in. */
const ADCS = 0b01_0000_0101;
const SBCS = 0b01_0000_0110;
const SIGN = 0x8000_0000;

/**
 * Sums and differences with the flags of the real processor. rp2040js adds the carry to the second operand first; 7fffffff
 * and a carry then looks like a negative number, and comparing 64-bit numbers with the largest one goes wrong.
 */
function arithmetic(chip: RP2040): object {
  const { core } = chip;
  /** The second operand before the carry was added, as far as its sign matters; its register is at `shift` of the opcode. */
  const operand = (value: number, carrying: number, shift: number): number => {
    if (value !== SIGN) return value;
    const opcode = chip.readUint16(core.PC - 2);
    return opcode >>> 6 === carrying ? (core.registers[(opcode >>> shift) & 7] as number) : value;
  };
  return {
    addUpdateFlags: (a: number, b: number): number => {
      const sum = a + b;
      const result = sum | 0;
      core.N = result < 0;
      core.Z = result === 0;
      core.C = sum > 0xffff_ffff;
      core.V = (~(a ^ operand(b, ADCS, 0)) & (a ^ result)) < 0;
      return result;
    },
    substractUpdateFlags: (a: number, b: number): number => {
      const result = (a - b) | 0;
      core.N = result < 0;
      core.Z = result === 0;
      core.C = a >= b;
      core.V = ((a ^ operand(b, SBCS, 3)) & (a ^ result)) < 0;
      return result;
    },
  };
}

/** Gives the address of the instruction that is being executed, for `Violations.pc`. */
export function installCore(chip: RP2040, violations: Violations): (address: number | undefined) => number {
  const { core } = chip;
  /** Where a violation happened when the program counter has moved on from it. */
  let known: number | undefined;
  const report = (what: string, pc: number, address?: number) => {
    known = pc;
    try {
      violations.report("hard-fault", what, address);
    } finally {
      known = undefined;
    }
  };

  Object.assign(core, arithmetic(chip));

  // rp2040js enters the handler from here, even with PRIMASK set; the next instruction is where it belongs.
  core.setInterrupt = (irq, value) => {
    const bit = 1 << irq;
    if (!value) core.pendingInterrupts &= ~bit;
    else if (!(core.pendingInterrupts & bit)) {
      core.pendingInterrupts |= bit;
      core.interruptsUpdated = true;
      if (core.waiting && wakes(core)) core.waiting = false;
    }
  };

  const exceptionEntry = core.exceptionEntry.bind(core);
  core.exceptionEntry = (number) => {
    const from = (core.PC & ~THUMB) >>> 0;
    known = from;
    exceptionEntry(number);
    known = undefined;
    if (!(core.PC & THUMB)) report(`vector ${number} is no Thumb address`, from, core.PC);
    core.PC = (core.PC & ~THUMB) >>> 0;
  };

  const branch = core.BXWritePC.bind(core);
  core.BXWritePC = (address) => {
    const returns = core.currentMode === HANDLER_MODE && address >>> 28 === EXC_RETURN;
    if (!returns && !(address & THUMB)) report("branch to ARM state", core.PC - 2, address);
    branch(address);
  };
  core.blTaken = (_core, exchange) => {
    if (!exchange) return;
    const at = (core.LR & ~THUMB) - 2;
    const target = core.registers[(chip.readUint16(at) >>> 3) & 15] as number;
    // `blx lr` has overwritten its target; a branch that stayed in place is rare enough to be let pass.
    if (target !== core.LR && !(target & THUMB)) report("branch to ARM state", at, target);
  };

  return (address) => {
    if (known !== undefined) return known;
    // The counter has passed an instruction that was fetched, and stands at one that could not be.
    const at = (core.PC & ~THUMB) >>> 0;
    return address === at ? at : at - 2;
  };
}

/** Takes rp2040js' warnings, all of which stand for something that is not emulated, as violations. */
export function strictLogger(chip: RP2040, violations: Violations): Logger {
  const report = (component: string, message: string) => {
    // The second line of the same report.
    if (message.startsWith("Opcode:")) return;
    // rp2040js tells of an undefined opcode by these words only; test/boards/pico/strict.test.ts fails when they change.
    const undefinedInstruction = message.includes("is not implemented yet");
    violations.report(
      undefinedInstruction ? "undefined-instruction" : "unmodelled",
      undefinedInstruction ? "undefined instruction" : `${component}: ${message}`,
    );
  };
  return {
    debug: () => {},
    info: (_component, message) => {
      // SEV sets the event register of the processor that executes it too.
      if (message === "SEV") chip.core.eventRegistered = true;
    },
    warn: report,
    error: report,
  };
}
