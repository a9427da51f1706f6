/**
 * Writes maxima into a core WebAssembly module, so that the engine itself refuses its memory and tables more: `memory.grow` beyond gives
 * -1 there. The text of a module is a row of sections; those of tables and memories are written anew, all others stay byte for byte.
 *
 *   \0asm 1   | id u8 | size LEB | payload |   id 4: tables   count, (type, limits)*       limits: flags u8, minimum LEB [, maximum LEB]
 *                                              id 5: memories count, (limits)*
 *
 * An imported memory or table is left as it is: it is another module's of the same component, and bounded there.
 * Source: WebAssembly Core Specification 3.0, 5.3.12 and 5.5.
 */
import { TardigradeError } from "../../protocols/error.ts";

export const PAGE_BYTES = 65_536;

export interface ModuleLimits {
  readonly memoryPagesMax: number;
  readonly tableEntriesMax: number;
}

export interface LimitedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Memories that the module has of its own. */
  readonly memories: number;
}

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;
const TABLES = 4;
const MEMORIES = 5;
const HAS_MAXIMUM = 1;
/** funcref and externref; other types belong to languages with a collector of the engine's, which has no bound here. */
const REFERENCES = new Set([0x70, 0x6f]);

/** Throws PLUGIN_INVALID for what is no such module or cannot be bounded, PLUGIN_MEMORY when it starts beyond the limits. */
export function limitModule(module: Uint8Array, limits: ModuleLimits): LimitedModule {
  const reader = new ByteReader(module);
  if (HEADER.some((byte) => reader.byte() !== byte)) throw invalid("a core module has no WebAssembly header");
  const parts: Uint8Array[] = [Uint8Array.from(HEADER)];
  let memories = 0;
  while (!reader.isAtEnd) {
    const from = reader.at;
    const id = reader.byte();
    const payload = reader.take(reader.number());
    if (id === TABLES) parts.push(section(id, limitedTables(new ByteReader(payload), limits)));
    else if (id === MEMORIES) {
      const inner = new ByteReader(payload);
      memories = inner.number();
      parts.push(section(id, limitedMemories(inner, memories, limits)));
    } else parts.push(module.subarray(from, reader.at));
  }
  return { bytes: joined(parts), memories };
}

function limitedMemories(reader: ByteReader, count: number, { memoryPagesMax }: ModuleLimits): Uint8Array {
  const parts = [leb(count)];
  for (let index = 0; index < count; index += 1) {
    const { minimum, maximum } = limitsOf(reader, "memory");
    if (minimum > memoryPagesMax) {
      throw new TardigradeError(
        "PLUGIN_MEMORY",
        `It starts with ${megabytes(minimum)} MB of memory and its limit is ${megabytes(memoryPagesMax)} MB; raise memoryMb.`,
      );
    }
    parts.push(bounded(minimum, Math.min(maximum ?? memoryPagesMax, memoryPagesMax)));
  }
  return closed(reader, parts);
}

function limitedTables(reader: ByteReader, { tableEntriesMax }: ModuleLimits): Uint8Array {
  const count = reader.number();
  const parts = [leb(count)];
  for (let index = 0; index < count; index += 1) {
    const type = reader.byte();
    if (!REFERENCES.has(type)) throw invalid("it has a table of a type that is not supported");
    const { minimum, maximum } = limitsOf(reader, "table");
    if (minimum > tableEntriesMax)
      throw invalid(`a table starts with ${minimum} entries of ${tableEntriesMax}`);
    parts.push(Uint8Array.of(type), bounded(minimum, Math.min(maximum ?? tableEntriesMax, tableEntriesMax)));
  }
  return closed(reader, parts);
}

function limitsOf(reader: ByteReader, what: string): { readonly minimum: number; readonly maximum?: number } {
  const flags = reader.byte();
  if (flags > HAS_MAXIMUM) throw invalid(`its ${what} is shared, has 64-bit addresses or odd pages`);
  const minimum = reader.number();
  return flags === HAS_MAXIMUM ? { minimum, maximum: reader.number() } : { minimum };
}

function closed(reader: ByteReader, parts: readonly Uint8Array[]): Uint8Array {
  if (!reader.isAtEnd) throw invalid("bytes follow the end of a section");
  return joined(parts);
}

function bounded(minimum: number, maximum: number): Uint8Array {
  // A maximum below the minimum is the module's own mistake, which the engine refuses when it compiles.
  return joined([Uint8Array.of(HAS_MAXIMUM), leb(minimum), leb(maximum)]);
}

function section(id: number, payload: Uint8Array): Uint8Array {
  return joined([Uint8Array.of(id), leb(payload.length), payload]);
}

function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  do {
    const low = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? low | 0x80 : low);
  } while (left > 0);
  return Uint8Array.from(bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function megabytes(pages: number): number {
  return Math.round((pages * PAGE_BYTES * 100) / 2 ** 20) / 100;
}

function invalid(reason: string): TardigradeError {
  return new TardigradeError("PLUGIN_INVALID", `It is no plugin: ${reason}.`);
}

class ByteReader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }
  byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw invalid("a core module ends too early");
    this.at += 1;
    return byte;
  }
  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.at) throw invalid("a core module ends too early");
    const from = this.at;
    this.at += length;
    return this.#bytes.subarray(from, this.at);
  }
  /** An unsigned number of 32 bits, in five bytes at most. */
  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 35; scale *= 128) {
      const byte = this.byte();
      value += (byte % 128) * scale;
      if (byte < 128) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw invalid("a number in a core module is too long");
  }
}
