/** A thread inside a decoded module: runs what is its own, and stops before each access to shared memory, which the search then makes for it. */
import { binary, unary, type Value } from "./arithmetic.ts";
import { type DecodedModule, type Instruction, OP, type WasmFunction } from "./decode.ts";

export type AccessKind = "load" | "store" | "rmw" | "compare-exchange" | "notify" | "wait" | "yield";

export interface Access {
  readonly kind: AccessKind;
  readonly address: number;
  /** Bytes: 1, 2, 4 or 8. */
  readonly size: number;
  readonly isAtomic: boolean;
  /** Of a result: i64, and sign-extended. */
  readonly isWide: boolean;
  readonly isSigned: boolean;
  readonly value: Value;
  readonly expected: Value;
  /** add, sub, and, or, xor, xchg */
  readonly change: number;
}

interface Frame {
  readonly function: number;
  pc: number;
  readonly locals: Value[];
  readonly stack: Value[];
  /** Bytes of a memory.copy or fill that are done. */
  done: number;
}

const STEPS_MAX = 1_000_000;
const NO_ACCESS = { isAtomic: false, isWide: false, isSigned: false, value: 0, expected: 0, change: 0 };
/** Bytes of plain loads 0x28 to 0x35 and stores 0x36 to 0x3e; floats are 0. */
const LOADS = [4, 8, 0, 0, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4];
const STORES = [4, 8, 0, 0, 1, 2, 1, 2, 4];
/** Of atomics, in the order of their opcodes: i32, i64, i32.8, i32.16, i64.8, i64.16, i64.32. */
const ATOMICS = [4, 8, 1, 2, 1, 2, 4];

export class Machine {
  readonly module: DecodedModule;
  frames: Frame[] = [];
  /** What the last call gave, when it ended. */
  result: Value | undefined;

  constructor(module: DecodedModule) {
    this.module = module;
  }

  get isIdle(): boolean {
    return this.frames.length === 0;
  }

  clone(): Machine {
    const copy = new Machine(this.module);
    copy.frames = this.frames.map(({ function: own, pc, locals, stack, done }) => ({
      function: own,
      pc,
      locals: locals.slice(),
      stack: stack.slice(),
      done,
    }));
    copy.result = this.result;
    return copy;
  }

  key(): string {
    return this.frames
      .map(
        ({ function: own, pc, locals, stack, done }) =>
          `${own}.${pc}.${done}:${locals.join()}:${stack.join()}`,
      )
      .join("/");
  }

  start(name: string, args: readonly Value[]): void {
    const index = this.module.exports.get(name);
    if (index === undefined) throw new Error(`the module exports no function "${name}"`);
    this.result = undefined;
    this.#enter(
      index,
      args.map((arg) => (typeof arg === "number" ? arg | 0 : BigInt.asIntN(64, arg))),
    );
  }

  #function(index: number): WasmFunction {
    return this.module.functions[index - this.module.imports.length] as WasmFunction;
  }

  #enter(index: number, args: readonly Value[]): void {
    const { locals, parameters, name } = this.#function(index);
    if (args.length !== parameters)
      throw new Error(`${name} takes ${parameters} arguments, not ${args.length}`);
    this.frames.push({ function: index, pc: 0, locals: [...args, ...locals], stack: [], done: 0 });
  }

  /** Where the thread is, for people. */
  get where(): string {
    return this.frames.map((frame) => this.#function(frame.function).name).join(" > ");
  }

  /** Runs until the next access, or the end of the call (undefined). */
  next(): Access | undefined {
    for (let steps = 0; steps < STEPS_MAX; steps += 1) {
      const frame = this.frames.at(-1);
      if (frame === undefined) return undefined;
      const instruction = this.#function(frame.function).code[frame.pc] as Instruction;
      const access = this.#access(frame, instruction);
      if (access !== undefined) return access;
      this.#local(frame, instruction);
    }
    throw new Error(`${this.where}: a million steps without an access to shared memory`);
  }

  /** Goes on after the access that next() told, with what it gave. */
  resume(access: Access, value: Value): void {
    const frame = this.frames.at(-1) as Frame;
    const { op, a } = this.#function(frame.function).code[frame.pc] as Instruction;
    if (op === OP.memoryCopy || op === OP.memoryFill) {
      if (access.kind === "load") {
        frame.stack.push(value);
        return;
      }
      if (op === OP.memoryCopy) frame.stack.pop();
      frame.done += access.size;
      if (frame.done >= (frame.stack.at(-1) as number) >>> 0) this.#endBulk(frame);
      return;
    }
    frame.pc += 1;
    if (op === OP.call) {
      const { parameters, results } = this.module.imports[a] as { parameters: number; results: number };
      frame.stack.length -= parameters;
      if (results > 0) frame.stack.push(value);
      return;
    }
    const operands = access.kind === "load" ? 1 : access.kind === "compare-exchange" ? 3 : 2;
    frame.stack.length -= operands;
    if (access.kind === "store") return;
    frame.stack.push(extended(access, value));
  }

  #endBulk(frame: Frame): void {
    frame.stack.length -= 3;
    frame.done = 0;
    frame.pc += 1;
  }

  #access(frame: Frame, { op, a }: Instruction): Access | undefined {
    const { stack } = frame;
    const top = stack.length;
    const u32 = (index: number): number => (stack[index] as number) >>> 0;
    if (op >= 0x28 && op <= 0x35) {
      const size = LOADS[op - 0x28] as number;
      if (size === 0) throw new Error("floating point");
      const isSigned = [0x2c, 0x2e, 0x30, 0x32, 0x34].includes(op);
      const isWide = op === 0x29 || op >= 0x30;
      return { ...NO_ACCESS, kind: "load", address: u32(top - 1) + a, size, isWide, isSigned };
    }
    if (op >= 0x36 && op <= 0x3e) {
      const size = STORES[op - 0x36] as number;
      if (size === 0) throw new Error("floating point");
      return { ...NO_ACCESS, kind: "store", address: u32(top - 2) + a, size, value: stack[top - 1] as Value };
    }
    if (op === OP.memoryCopy || op === OP.memoryFill) return this.#bulk(frame, op);
    if (op === OP.call && a < this.module.imports.length) {
      const { name } = this.module.imports[a] as { name: string };
      if (name.endsWith(".yield")) return { ...NO_ACCESS, kind: "yield", address: 0, size: 4 };
      if (name.endsWith(".wait"))
        return {
          ...NO_ACCESS,
          kind: "wait",
          address: u32(top - 2),
          size: 4,
          expected: stack[top - 1] as Value,
          isAtomic: true,
        };
      throw new Error(`the import ${name} is none of wait and yield`);
    }
    if (op < OP.atomic || op === OP.atomic + 3) return undefined;
    const second = op - OP.atomic;
    if (second === 0)
      return {
        ...NO_ACCESS,
        kind: "notify",
        address: u32(top - 2) + a,
        size: 4,
        value: stack[top - 1] as Value,
        isAtomic: true,
      };
    const group = Math.floor((second - 0x10) / 7);
    const position = (second - 0x10) % 7;
    const size = ATOMICS[position] as number;
    const isWide = position === 1 || position >= 4;
    const common = { ...NO_ACCESS, size, isWide, isAtomic: true };
    if (group === 0) return { ...common, kind: "load", address: u32(top - 1) + a };
    if (group === 1)
      return { ...common, kind: "store", address: u32(top - 2) + a, value: stack[top - 1] as Value };
    if (group === 8)
      return {
        ...common,
        kind: "compare-exchange",
        address: u32(top - 3) + a,
        expected: stack[top - 2] as Value,
        value: stack[top - 1] as Value,
      };
    return {
      ...common,
      kind: "rmw",
      address: u32(top - 2) + a,
      value: stack[top - 1] as Value,
      change: group - 2,
    };
  }

  /** memory.copy and fill as accesses of a word, or of a byte at their end; what was loaded lies on the stack until it is stored. */
  #bulk(frame: Frame, op: number): Access | undefined {
    const { stack, done } = frame;
    const hasLoaded = op === OP.memoryCopy && this.#isLoaded(frame);
    const base = stack.length - (hasLoaded ? 4 : 3);
    const [to, from, length] = [base, base + 1, base + 2].map((index) => (stack[index] as number) >>> 0) as [
      number,
      number,
      number,
    ];
    if (length === 0) return undefined;
    const address = to + done;
    const isAligned = address % 4 === 0 && (op === OP.memoryFill || (from + done) % 4 === 0);
    const size = isAligned && length - done >= 4 ? 4 : 1;
    if (op === OP.memoryCopy && !hasLoaded) return { ...NO_ACCESS, kind: "load", address: from + done, size };
    const value = hasLoaded ? (stack.at(-1) as Value) : Math.imul(from & 0xff, size === 4 ? 0x01010101 : 1);
    return { ...NO_ACCESS, kind: "store", address, size, value };
  }

  /** The height of the stack at a copy is known: what is above its three operands was loaded. */
  #isLoaded(frame: Frame): boolean {
    return frame.stack.length - (this.#function(frame.function).code[frame.pc] as Instruction).height > 3;
  }

  #local(frame: Frame, instruction: Instruction): void {
    const { op, a } = instruction;
    const { stack, locals } = frame;
    frame.pc += 1;
    switch (op) {
      case OP.unreachable:
        throw new Error("trap: unreachable");
      case OP.br:
        this.#jump(frame, instruction);
        return;
      case OP.brIf:
        if (stack.pop() !== 0) this.#jump(frame, instruction);
        return;
      case OP.brUnless:
        if (stack.pop() === 0) frame.pc = instruction.to;
        return;
      case OP.brTable: {
        const index = (stack.pop() as number) >>> 0;
        this.#jump(frame, (instruction.table[index] ?? instruction.table.at(-1)) as Instruction);
        return;
      }
      case OP.return: {
        this.frames.pop();
        const value = a > 0 ? stack.pop() : undefined;
        const caller = this.frames.at(-1);
        if (caller === undefined) this.result = value;
        else if (value !== undefined) caller.stack.push(value);
        return;
      }
      case OP.call: {
        const { parameters } = this.#function(a);
        this.#enter(a, stack.splice(stack.length - parameters, parameters));
        return;
      }
      case OP.drop:
        stack.pop();
        return;
      case OP.select: {
        const isFirst = stack.pop() !== 0;
        const second = stack.pop() as Value;
        if (!isFirst) stack[stack.length - 1] = second;
        return;
      }
      case OP.localGet:
        stack.push(locals[a] as Value);
        return;
      case OP.localSet:
        locals[a] = stack.pop() as Value;
        return;
      case OP.localTee:
        locals[a] = stack.at(-1) as Value;
        return;
      case OP.i32Const:
        stack.push(a);
        return;
      case OP.i64Const:
        stack.push(instruction.big);
        return;
      case OP.memoryCopy:
      case OP.memoryFill:
        stack.length -= 3;
        return;
      case OP.atomic + 3:
        return;
      default: {
        const top = stack.pop() as Value;
        const one = unary(op, top);
        stack.push(one ?? (binary(op, stack.pop() as Value, top) as Value));
      }
    }
  }

  #jump(frame: Frame, { a, to, height }: Instruction): void {
    const { stack } = frame;
    if (a > 0) stack.splice(height, stack.length - a - height);
    else stack.length = height;
    frame.pc = to;
  }
}

/** An access's value as the instruction has it. */
function extended({ size, isWide, isSigned }: Access, value: Value): Value {
  if (size === 8) return BigInt.asIntN(64, value as bigint);
  const number = value as number;
  const narrow = size === 4 ? number | 0 : isSigned ? (number << (32 - size * 8)) >> (32 - size * 8) : number;
  if (!isWide) return narrow;
  return isSigned ? BigInt(narrow) : BigInt(narrow >>> 0);
}
