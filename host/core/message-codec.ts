/**
 * The core's message codec with messages as objects: tokens (assembly/codec/token.ts draws them) to and from the shapes of
 * messages.generated.ts. It is the second implementation that protocols/message.ts is compared with.
 */
import type { Message, Value } from "../../protocols/messages.generated.ts";
import { type ErrorCode, type Field, LIMITS, MESSAGES, type MessageRow } from "../../protocols/table.ts";
import { type Core, codeOfStatus } from "./core.ts";

const TOKEN_BYTES = 16;
const TOKENS_MAX = 256;
const TEXT_ROOM_BYTES = 65_536;
const TYPE = { uint: 1, int: 2, u64: 3, float: 4, bool: 5, text: 6, bytes: 7, list: 9, element: 10 } as const;

export type CoreDecoded =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly code: ErrorCode };
export type CoreEncoded =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly code: ErrorCode };

export interface CoreMessageCodec {
  decode(bytes: Uint8Array): CoreDecoded;
  encode(message: Message): CoreEncoded;
}

type Fields = Record<string, unknown>;

const rows: readonly MessageRow[] = MESSAGES;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function createMessageCodec(core: Core): CoreMessageCodec {
  const buffers = {
    // One byte more than a message may have, so that an oversized one is refused by the core and not here.
    input: core.allocate(LIMITS.MESSAGE_BYTES_MAX + 1),
    tokens: core.allocate(TOKENS_MAX * TOKEN_BYTES),
    texts: core.allocate(TEXT_ROOM_BYTES),
    output: core.allocate(LIMITS.MESSAGE_BYTES_MAX),
  };
  return {
    decode: (bytes) => {
      core.bytes().set(bytes.subarray(0, LIMITS.MESSAGE_BYTES_MAX + 1), buffers.input);
      const count = core.raw.decodeMessage(buffers.input, bytes.length, buffers.tokens, TOKENS_MAX);
      if (count < 0) return { ok: false, code: codeOfStatus(count) };
      return { ok: true, message: new TokenReader(core, buffers.tokens, count).message() };
    },
    encode: (message) => {
      const row = rows.find((candidate) => candidate.name === message.kind);
      const writer = new TokenWriter(core, buffers.tokens, buffers.texts);
      writer.fields(message as unknown as Fields, row?.fields ?? []);
      if (writer.full) return { ok: false, code: "MESSAGE_OVERSIZE" };
      const length = core.raw.encodeMessage(
        row?.kind ?? 0,
        buffers.tokens,
        writer.count,
        buffers.output,
        LIMITS.MESSAGE_BYTES_MAX,
      );
      if (length < 0) return { ok: false, code: codeOfStatus(length) };
      return { ok: true, bytes: core.bytes().slice(buffers.output, buffers.output + length) };
    },
  };
}

class TokenReader {
  readonly #core: Core;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  constructor(core: Core, at: number, count: number) {
    this.#core = core;
    this.#view = new DataView(core.bytes().buffer);
    this.#at = at;
    this.#end = at + count * TOKEN_BYTES;
  }

  message(): Message {
    const kind = this.#core.raw.decodedKind();
    const row = rows.find((candidate) => candidate.kind === kind);
    return { kind: row?.name, ...this.#fields(row?.fields ?? []) } as Message;
  }

  #fields(schema: readonly Field[]): Fields {
    const fields: Fields = {};
    for (const field of schema) {
      if (this.#at >= this.#end || this.#type() === TYPE.element) break;
      if (this.#view.getUint8(this.#at + 1) !== field.key) continue;
      fields[field.name] = field.type === "list" ? this.#list(field.of ?? []) : this.#scalar();
    }
    return fields;
  }

  #type(): number {
    return this.#view.getUint8(this.#at);
  }

  #list(schema: readonly Field[]): Fields[] {
    const count = this.#view.getUint32(this.#at + 4, true);
    this.#at += TOKEN_BYTES;
    const elements: Fields[] = [];
    for (let index = 0; index < count; index += 1) {
      this.#at += TOKEN_BYTES;
      elements.push(this.#fields(schema));
    }
    return elements;
  }

  #scalar(): Value | bigint | Uint8Array {
    const [view, at] = [this.#view, this.#at];
    this.#at += TOKEN_BYTES;
    const length = view.getUint32(at + 4, true);
    const pointer = view.getUint32(at + 8, true);
    switch (view.getUint8(at)) {
      case TYPE.uint:
      case TYPE.int:
        return Number(view.getBigInt64(at + 8, true));
      case TYPE.u64:
        return view.getBigUint64(at + 8, true);
      case TYPE.float:
        return view.getFloat64(at + 8, true);
      case TYPE.bool:
        return pointer === 1;
      case TYPE.text:
        return decoder.decode(this.#core.bytes().subarray(pointer, pointer + length));
      default:
        return this.#core.bytes().slice(pointer, pointer + length);
    }
  }
}

class TokenWriter {
  readonly #core: Core;
  readonly #view: DataView;
  readonly #start: number;
  readonly #texts: number;
  #textBytes = 0;
  count = 0;
  /** There was no room for a token or a text; what fits a message always fits here. */
  full = false;

  constructor(core: Core, start: number, texts: number) {
    this.#core = core;
    this.#view = new DataView(core.bytes().buffer);
    this.#start = start;
    this.#texts = texts;
  }

  fields(fields: Fields, schema: readonly Field[]): void {
    for (const field of schema) {
      const value = fields[field.name];
      if (value === undefined) continue;
      if (Array.isArray(value)) this.#list(field, value as Fields[]);
      else this.#scalar(field, value);
    }
  }

  #list(field: Field, elements: readonly Fields[]): void {
    this.#token(TYPE.list, field.key, elements.length);
    for (const element of elements) {
      this.#token(TYPE.element, field.key, 0);
      this.fields(element, field.of ?? []);
    }
  }

  #scalar(field: Field, value: unknown): void {
    if (typeof value === "string") this.#span(TYPE.text, field.key, encoder.encode(value));
    else if (value instanceof Uint8Array) this.#span(TYPE.bytes, field.key, value);
    else if (typeof value === "boolean")
      this.#view.setBigUint64(this.#token(TYPE.bool, field.key, 0), value ? 1n : 0n, true);
    else if (typeof value === "bigint")
      this.#view.setBigUint64(this.#token(TYPE.u64, field.key, 0), value, true);
    else this.#number(field, Number(value));
  }

  #number(field: Field, value: number): void {
    const float = field.type === "float" || field.type === "value" || !Number.isSafeInteger(value);
    const type = float ? TYPE.float : field.type === "int" ? TYPE.int : TYPE.uint;
    const at = this.#token(type, field.key, 0);
    if (float) this.#view.setFloat64(at, value, true);
    else this.#view.setBigInt64(at, BigInt(value), true);
  }

  #span(type: number, key: number, bytes: Uint8Array): void {
    if (this.#textBytes + bytes.length > TEXT_ROOM_BYTES) {
      this.full = true;
      return;
    }
    const pointer = this.#texts + this.#textBytes;
    this.#core.bytes().set(bytes, pointer);
    this.#textBytes += bytes.length;
    this.#view.setUint32(this.#token(type, key, bytes.length), pointer, true);
  }

  /** Where the new token's value goes. */
  #token(type: number, key: number, length: number): number {
    if (this.count === TOKENS_MAX) this.full = true;
    else this.count += 1;
    const at = this.#start + (this.count - 1) * TOKEN_BYTES;
    this.#view.setUint32(at, type | (key << 8), true);
    this.#view.setUint32(at + 4, length, true);
    this.#view.setBigUint64(at + 8, 0n, true);
    return at + 8;
  }
}
