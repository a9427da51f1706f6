/**
 * A peripheral as a table of registers, in the shape that rp2040js' bus expects. A register without `read` or `write` is plain
 * memory under its mask; an offset that is not in the table is a violation, never a silent zero.
 */
import { hex, type Violations } from "./violation.ts";

export interface Register {
  /** Value after a reset of the block. */
  readonly reset?: number;
  /** Bits that a write changes; all by default, none for a register without `write` that is read-only. */
  readonly mask?: number;
  readonly read?: () => number;
  /** `value` after the alias (XOR, SET, CLEAR) was applied to what reads; `raw` as the firmware wrote it. */
  readonly write?: (value: number, raw: number) => void;
}

export const READ_ONLY = 0;

/** The address aliases of an APB register, by bits 13:12 of the address. */
function aliased(alias: number, current: number, raw: number): number {
  if (alias === 1) return current ^ raw;
  if (alias === 2) return current | raw;
  if (alias === 3) return current & ~raw;
  return raw;
}

export class RegisterBlock {
  readonly name: string;
  readonly #registers: ReadonlyMap<number, Register>;
  readonly #values = new Map<number, number>();
  readonly #violations: Violations;

  constructor(name: string, registers: Readonly<Record<number, Register>>, violations: Violations) {
    this.name = name;
    this.#registers = new Map(
      Object.entries(registers).map(([offset, register]) => [Number(offset), register]),
    );
    this.#violations = violations;
    this.reset();
  }

  /** Plain registers as after a reset; what stands behind `read` and `write` is its owner's to reset. */
  reset(): void {
    for (const [offset, register] of this.#registers) this.#values.set(offset, register.reset ?? 0);
  }

  /** A plain register, as its owner reads it. */
  get(offset: number): number {
    return this.#values.get(offset) ?? 0;
  }
  set(offset: number, value: number): void {
    this.#values.set(offset, value >>> 0);
  }

  readUint32(offset: number): number {
    const register = this.#registers.get(offset);
    if (register === undefined) {
      this.#violations.report("unmodelled", `read of ${this.name} register ${hex(offset)}`);
      return 0;
    }
    return (register.read?.() ?? this.get(offset)) >>> 0;
  }

  writeUint32(offset: number, value: number): void {
    this.writeUint32Atomic(offset, value, 0);
  }

  writeUint32Atomic(offset: number, raw: number, alias: number): void {
    const register = this.#registers.get(offset);
    if (register === undefined) {
      this.#violations.report("unmodelled", `write of ${hex(raw)} to ${this.name} register ${hex(offset)}`);
      return;
    }
    const current = alias === 0 ? 0 : (register.read?.() ?? this.get(offset));
    const value = aliased(alias, current, raw) >>> 0;
    if (register.write !== undefined) {
      register.write(value, raw >>> 0);
      return;
    }
    const mask = register.mask ?? 0xffff_ffff;
    this.set(offset, (this.get(offset) & ~mask) | (value & mask));
  }
}
