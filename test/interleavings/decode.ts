/**
 * Decodes a WebAssembly module (core specification 2.0 with the threads proposal) as far as AssemblyScript's integer code needs it, into flat lists of instructions whose branches know where they lead and how
 * high the operand stack is there. What it does not know is an error.
 */

export interface Instruction {
  readonly op: number;
  /** An immediate: index, constant, offset of an access, arity of a branch. */
  readonly a: number;
  /** Where a branch leads to. */
  readonly to: number;
  /** Operands that are left below a branch's values. */
  readonly height: number;
  readonly big: bigint;
  /** Of br_table: the branches, the default last. */
  readonly table: readonly Instruction[];
}

export interface WasmFunction {
  readonly name: string;
  readonly parameters: number;
  readonly results: number;
  /** Zeros that locals begin with, parameters left out. */
  readonly locals: readonly (number | bigint)[];
  readonly code: readonly Instruction[];
}

export interface DecodedModule {
  /** Imported functions, as module.name, come first. */
  readonly imports: readonly {
    readonly name: string;
    readonly parameters: number;
    readonly results: number;
  }[];
  readonly functions: readonly WasmFunction[];
  readonly exports: ReadonlyMap<string, number>;
}

export const OP = {
  unreachable: 0x00,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Const: 0x41,
  i64Const: 0x42,
  /** Ours: jumps when the operand is 0, for if and else. */
  brUnless: 0x100,
  memoryCopy: 0x200 + 10,
  memoryFill: 0x200 + 11,
  /** Atomics are 0x300 and their second byte. */
  atomic: 0x300,
} as const;

const I64 = 0x7e;

interface FunctionType {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

class Reader {
  readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte(): number {
    const value = this.bytes[this.at];
    if (value === undefined) throw new Error(`the module ends at ${this.at}`);
    this.at += 1;
    return value;
  }
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return BigInt.asIntN(Number(shift), value);
    }
  }
  text(): string {
    const length = this.unsigned();
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
  }
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }
}

export function decode(bytes: Uint8Array): DecodedModule {
  const reader = new Reader(bytes, 8);
  const types: FunctionType[] = [];
  const imports: { name: string; parameters: number; results: number }[] = [];
  const declared: FunctionType[] = [];
  const exports = new Map<string, number>();
  const names = new Map<number, string>();
  const bodies: { from: number; to: number }[] = [];
  const typeAt = (index: number): FunctionType => types[index] as FunctionType;
  while (reader.at < bytes.length) {
    const section = reader.byte();
    const size = reader.unsigned();
    const end = reader.at + size;
    if (section === 1) {
      reader.list(() => {
        reader.byte();
        types.push({
          parameters: reader.list(() => reader.byte()),
          results: reader.list(() => reader.byte()),
        });
      });
    } else if (section === 2) {
      reader.list(() => {
        const name = `${reader.text()}.${reader.text()}`;
        const kind = reader.byte();
        if (kind === 2) {
          const limits = reader.byte();
          reader.unsigned();
          if ((limits & 1) !== 0) reader.unsigned();
          return;
        }
        if (kind !== 0) throw new Error(`${name}: only functions and memory can be imported`);
        const { parameters, results } = typeAt(reader.unsigned());
        imports.push({ name, parameters: parameters.length, results: results.length });
      });
    } else if (section === 3) reader.list(() => declared.push(typeAt(reader.unsigned())));
    else if (section === 7) {
      reader.list(() => {
        const name = reader.text();
        const isFunction = reader.byte() === 0;
        const index = reader.unsigned();
        if (!isFunction) return;
        exports.set(name, index);
        names.set(index, name);
      });
    } else if (section === 10) {
      reader.list(() => {
        const length = reader.unsigned();
        bodies.push({ from: reader.at, to: reader.at + length });
        reader.at += length;
      });
    } else if (section === 11 && size > 1) throw new Error("the module has data; the shared build has none");
    else if (section === 6 && size > 1) throw new Error("the module has globals; the shared build has none");
    reader.at = end;
  }
  const arities = [
    ...imports,
    ...declared.map(({ parameters, results }) => ({
      parameters: parameters.length,
      results: results.length,
    })),
  ];
  const functions = declared.map((type, index) => {
    const own = imports.length + index;
    const body = bodies[index] as { from: number; to: number };
    return new Body(new Reader(bytes, body.from), body.to, type, { types, arities }).function(
      names.get(own) ?? `function ${own}`,
    );
  });
  return { imports, functions, exports };
}

/** A block that is open while its instructions are read. */
interface Open {
  readonly kind: "block" | "loop" | "if";
  readonly height: number;
  readonly results: number;
  readonly parameters: number;
  /** Branches that lead to its end, to be told where that is. */
  readonly pending: { to: number }[];
  readonly start: number;
  otherwise: { to: number } | undefined;
}

type Draft = {
  op: number;
  a: number;
  to: number;
  height: number;
  big: bigint;
  table: readonly Instruction[];
};

class Body {
  readonly #reader: Reader;
  readonly #end: number;
  readonly #type: FunctionType;
  readonly #types: readonly FunctionType[];
  readonly #arities: readonly { readonly parameters: number; readonly results: number }[];
  readonly #code: Draft[] = [];
  readonly #open: Open[] = [];
  #height = 0;
  #isDead = false;

  constructor(
    reader: Reader,
    end: number,
    type: FunctionType,
    {
      types,
      arities,
    }: { types: readonly FunctionType[]; arities: readonly { parameters: number; results: number }[] },
  ) {
    this.#reader = reader;
    this.#end = end;
    this.#type = type;
    this.#types = types;
    this.#arities = arities;
  }

  function(name: string): WasmFunction {
    const locals = this.#reader
      .list(() => [this.#reader.unsigned(), this.#reader.byte()] as const)
      .flatMap(([count, type]) => new Array<number | bigint>(count).fill(type === I64 ? 0n : 0));
    const results = this.#type.results.length;
    this.#enter("block", 0, results);
    while (this.#reader.at < this.#end) this.#instruction(name);
    return { name, parameters: this.#type.parameters.length, results, locals, code: this.#code };
  }

  #emit(op: number, about: Partial<Draft> = {}): Draft {
    const draft = { op, a: 0, to: 0, height: 0, big: 0n, table: [], ...about };
    if (!this.#isDead) this.#code.push(draft);
    return draft;
  }

  #enter(kind: Open["kind"], parameters: number, results: number): Open {
    const height = this.#height - parameters;
    const one: Open = {
      kind,
      height,
      results,
      parameters,
      pending: [],
      start: this.#code.length,
      otherwise: undefined,
    };
    this.#open.push(one);
    return one;
  }

  #blockType(): readonly [number, number] {
    const byte = this.#reader.bytes[this.#reader.at] as number;
    if (byte === 0x40 || (byte >= 0x7c && byte <= 0x7f)) {
      this.#reader.at += 1;
      return [0, byte === 0x40 ? 0 : 1];
    }
    const { parameters, results } = this.#types[this.#reader.unsigned()] as FunctionType;
    return [parameters.length, results.length];
  }

  #branch(op: number, depth: number): Draft {
    const target = this.#open[this.#open.length - 1 - depth] as Open;
    const isLoop = target.kind === "loop";
    const draft = {
      op,
      a: isLoop ? target.parameters : target.results,
      to: target.start,
      height: target.height,
      big: 0n,
      table: [],
    };
    if (!isLoop) target.pending.push(draft);
    return draft;
  }

  /** Nothing until the end of the block can be reached. */
  #die(): void {
    this.#isDead = true;
  }

  #moves(pops: number, pushes: number): void {
    if (!this.#isDead) this.#height += pushes - pops;
  }

  #instruction(name: string): void {
    const reader = this.#reader;
    const at = reader.at;
    const op = reader.byte();
    switch (op) {
      case 0x00:
        this.#emit(op);
        this.#die();
        return;
      case 0x01:
        return;
      case 0x02:
      case 0x03:
      case 0x04: {
        const [parameters, results] = this.#blockType();
        if (op === 0x04) this.#moves(1, 0);
        if (this.#isDead) {
          this.#skip();
          return;
        }
        const test = op === 0x04 ? this.#emit(OP.brUnless, { height: -1 }) : undefined;
        const one = this.#enter(op === 0x02 ? "block" : op === 0x03 ? "loop" : "if", parameters, results);
        one.otherwise = test;
        return;
      }
      case 0x05: {
        const one = this.#open.at(-1) as Open;
        const over = this.#emit(OP.br, { a: one.results, height: one.height });
        if (!this.#isDead) one.pending.push(over);
        if (one.otherwise !== undefined) one.otherwise.to = this.#code.length;
        one.otherwise = undefined;
        this.#isDead = false;
        this.#height = one.height + one.parameters;
        return;
      }
      case 0x0b: {
        const one = this.#open.pop() as Open;
        this.#isDead = false;
        for (const branch of one.pending) branch.to = this.#code.length;
        if (one.otherwise !== undefined) one.otherwise.to = this.#code.length;
        this.#height = one.height + one.results;
        if (this.#open.length === 0) this.#emit(OP.return, { a: one.results });
        return;
      }
      case OP.br: {
        const draft = this.#branch(op, reader.unsigned());
        if (!this.#isDead) this.#code.push(draft);
        this.#die();
        return;
      }
      case OP.brIf: {
        this.#moves(1, 0);
        const draft = this.#branch(op, reader.unsigned());
        if (!this.#isDead) this.#code.push(draft);
        return;
      }
      case OP.brTable: {
        this.#moves(1, 0);
        const table = [
          ...reader.list(() => this.#branch(OP.br, reader.unsigned())),
          this.#branch(OP.br, reader.unsigned()),
        ];
        this.#emit(op, { table });
        this.#die();
        return;
      }
      case OP.return:
        this.#emit(op, { a: this.#type.results.length });
        this.#die();
        return;
      case OP.call: {
        const index = reader.unsigned();
        const { parameters, results } = this.#arities[index] as { parameters: number; results: number };
        this.#emit(op, { a: index });
        this.#moves(parameters, results);
        return;
      }
      case OP.drop:
        this.#emit(op);
        this.#moves(1, 0);
        return;
      case OP.select:
        this.#emit(op);
        this.#moves(3, 1);
        return;
      case OP.localGet:
      case OP.localSet:
      case OP.localTee:
        this.#emit(op, { a: reader.unsigned() });
        this.#moves(op === OP.localGet ? 0 : 1, op === OP.localSet ? 0 : 1);
        return;
      case OP.i32Const:
        this.#emit(op, { a: Number(reader.signed()) });
        this.#moves(0, 1);
        return;
      case OP.i64Const:
        this.#emit(op, { big: reader.signed() });
        this.#moves(0, 1);
        return;
      case 0xfc: {
        const second = reader.unsigned();
        if (second !== 10 && second !== 11) break;
        reader.byte();
        if (second === 10) reader.byte();
        // Its height tells the machine what lies above its operands.
        this.#emit(0x200 + second, { height: this.#height - 3 });
        this.#moves(3, 0);
        return;
      }
      case 0xfe: {
        const second = reader.byte();
        if (second === 0x01 || second === 0x02)
          throw new Error(`${name}: memory.atomic.wait at ${at}: the shared build never waits`);
        if (second === 0x03) {
          reader.byte();
          this.#emit(OP.atomic + second);
          return;
        }
        reader.unsigned();
        this.#emit(OP.atomic + second, { a: reader.unsigned() });
        const isLoad = second >= 0x10 && second <= 0x16;
        const isStore = second >= 0x17 && second <= 0x1d;
        const isExchange = second >= 0x48;
        this.#moves(isLoad ? 1 : isExchange ? 3 : 2, isStore ? 0 : 1);
        return;
      }
      default:
    }
    if (op >= 0x28 && op <= 0x3e) {
      reader.unsigned();
      this.#emit(op, { a: reader.unsigned() });
      this.#moves(op >= 0x36 ? 2 : 1, op >= 0x36 ? 0 : 1);
      return;
    }
    const isUnary =
      op === 0x45 ||
      op === 0x50 ||
      (op >= 0x67 && op <= 0x69) ||
      (op >= 0x79 && op <= 0x7b) ||
      op === 0xa7 ||
      op === 0xac ||
      op === 0xad ||
      (op >= 0xc0 && op <= 0xc4);
    const isBinary = (op >= 0x46 && op <= 0x5a) || (op >= 0x6a && op <= 0x78) || (op >= 0x7c && op <= 0x8a);
    if (!isUnary && !isBinary) throw new Error(`${name}: unknown opcode 0x${op.toString(16)} at ${at}`);
    this.#emit(op);
    this.#moves(isUnary ? 1 : 2, 1);
  }

  /** Over a block inside code that nothing reaches. */
  #skip(): void {
    this.#enter("block", 0, 0);
    const depth = this.#open.length;
    const height = this.#height;
    while (this.#open.length >= depth) {
      this.#isDead = true;
      this.#instruction("dead code");
    }
    this.#isDead = true;
    this.#height = height;
  }
}
