/**
 * What clients and nodes of the key-value store say to each other, in frames of the transport (transport/frame.ts). All numbers are
 * little-endian; ids are the client's, and an answer has its request's.
 *
 * ```
 *   request   +0 id u32 | +4 kind u8 | +5 flags u8 | +6 0 u16 | +8 body
 *   response  +0 id u32 | +4 kind u8 | +5 flags u8 | +6 code u16 (0: it went well, else an error's number) | +8 leader u32 | +12 0 u32 | +16 body
 *
 *             request's body                                       response's body
 *   hello     version u16                                          node id u32
 *   command   a command (kv/command.ts)                            a result (kv/result.ts)
 *   get       key                                                  revision u64, item when there is one
 *   range     limit u32, from bytes u16, to bytes u16, from, to    revision u64, items   (flag MORE: there are more in the range)
 *   watch     as range, and first revision u64                     events, again and again, until an answer without MORE
 *   cancel    id u32 of the watch                                  nothing
 *   status    nothing                                              JSON
 *   change    JSON                                                 nothing
 *   snapshot  nothing                                              chunks, each with MORE, until an answer without
 *
 *   item      key bytes u16 | value bytes u32 | create, modification revision, version, lease, u64 each | key | value
 *   event     type u8 (1 put, 2 delete) | an item (of a delete: key and modification revision alone)
 * ```
 * A response with a code has the leader's address for clients as its body, as text, where the node knows it, else nothing.
 */
import { putU16, putU32, putU53, u16At, u32At, u53At } from "../bytes.ts";
import type { KvEvent } from "../kv/events.ts";
import type { KvItem, KvRange } from "../kv/read.ts";

export const CLIENT_PROTOCOL_VERSION = 1;
export const REQUEST_HEAD_BYTES = 8;
export const RESPONSE_HEAD_BYTES = 16;
export const KIND = {
  hello: 1,
  command: 2,
  get: 3,
  range: 4,
  watch: 5,
  cancel: 6,
  status: 7,
  change: 8,
  snapshot: 9,
} as const;
export type RequestKind = keyof typeof KIND;
export const MORE = 1;
/** Of a range or watch: from the last key down; of a watch's keys, `from` alone. */
export const REVERSE = 2;

const ITEM_HEAD_BYTES = 38;
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NOTHING = new Uint8Array(0);

/** A request; its id is put in when it is sent. */
export function encodeRequest(
  kind: RequestKind,
  body: Uint8Array = NOTHING,
  flags = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(REQUEST_HEAD_BYTES + body.length);
  bytes[4] = KIND[kind];
  bytes[5] = flags;
  bytes.set(body, REQUEST_HEAD_BYTES);
  return bytes;
}

export function encodeResponse(
  request: { readonly id: number; readonly kind: number },
  answer: {
    readonly code?: number;
    readonly leader: number;
    readonly flags?: number;
    readonly body?: Uint8Array;
  },
): Uint8Array<ArrayBuffer> {
  const { code = 0, leader, flags = 0, body = NOTHING } = answer;
  const bytes = new Uint8Array(RESPONSE_HEAD_BYTES + body.length);
  putU32(bytes, 0, request.id);
  bytes[4] = request.kind;
  bytes[5] = flags;
  putU16(bytes, 6, code);
  putU32(bytes, 8, leader);
  bytes.set(body, RESPONSE_HEAD_BYTES);
  return bytes;
}

export function encodeHello(): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(2);
  putU16(body, 0, CLIENT_PROTOCOL_VERSION);
  return encodeRequest("hello", body);
}

export interface RangeRequest {
  readonly from: string;
  readonly to: string;
  readonly limit: number;
  readonly reverse: boolean;
  /** Of a watch. */
  readonly fromRevision: number;
}

export function encodeRange(kind: "range" | "watch", range: RangeRequest): Uint8Array<ArrayBuffer> {
  const [from, to] = [utf8.encode(range.from), utf8.encode(range.to)];
  const body = new Uint8Array(16 + from.length + to.length);
  putU32(body, 0, range.limit);
  putU16(body, 4, from.length);
  putU16(body, 6, to.length);
  putU53(body, 8, range.fromRevision);
  body.set(from, 16);
  body.set(to, 16 + from.length);
  return encodeRequest(kind, body, range.reverse ? REVERSE : 0);
}

/** Of a range's or a watch's request; undefined where it is none. */
export function decodeRange(request: Uint8Array): RangeRequest | undefined {
  const body = request.subarray(REQUEST_HEAD_BYTES);
  if (body.length < 16) return undefined;
  const [fromBytes, toBytes] = [u16At(body, 4), u16At(body, 6)];
  const fromRevision = u53At(body, 8);
  if (body.length !== 16 + fromBytes + toBytes || fromRevision < 0) return undefined;
  const from = textOf(body.subarray(16, 16 + fromBytes));
  const to = textOf(body.subarray(16 + fromBytes));
  if (from === undefined || to === undefined) return undefined;
  return { from, to, limit: u32At(body, 0), reverse: ((request[5] as number) & REVERSE) !== 0, fromRevision };
}

/** Undefined for bytes that are no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return text.decode(bytes);
  } catch {
    return undefined;
  }
}

export function encodeItems(revision: number, items: readonly KvItem[]): Uint8Array<ArrayBuffer> {
  const keys = items.map(({ key }) => utf8.encode(key));
  let bytes = 8;
  for (let at = 0; at < items.length; at += 1)
    bytes += ITEM_HEAD_BYTES + (keys[at] as Uint8Array).length + (items[at] as KvItem).value.length;
  const body = new Uint8Array(bytes);
  putU53(body, 0, revision);
  let to = 8;
  for (let at = 0; at < items.length; at += 1)
    to = putItem(body, to, keys[at] as Uint8Array, items[at] as KvItem);
  return body;
}

/** Of the body of get's and range's response; undefined where it is none. */
export function decodeItems(body: Uint8Array): Omit<KvRange, "more"> | undefined {
  if (body.length < 8) return undefined;
  const revision = u53At(body, 0);
  const items: KvItem[] = [];
  for (let at = 8; at < body.length; ) {
    const found = itemAt(body, at);
    if (found === undefined) return undefined;
    items.push(found.item);
    at = found.end;
  }
  return revision < 0 ? undefined : { items, revision };
}

export function encodeEvents(events: readonly KvEvent[]): Uint8Array<ArrayBuffer> {
  const parts = events.map((event) => ({ event, key: utf8.encode(event.key) }));
  const bytes = parts.reduce(
    (sum, { event, key }) => sum + 1 + ITEM_HEAD_BYTES + key.length + eventValue(event).length,
    0,
  );
  const body = new Uint8Array(bytes);
  let to = 0;
  for (const { event, key } of parts) {
    body[to] = event.type === "put" ? 1 : 2;
    const put = event.type === "put" ? event : { value: NOTHING, createRevision: 0, version: 0, lease: 0 };
    const { value, createRevision, version, lease } = put;
    to = putItem(body, to + 1, key, { value, createRevision, modRevision: event.revision, version, lease });
  }
  return body;
}

export function decodeEvents(body: Uint8Array): KvEvent[] | undefined {
  const events: KvEvent[] = [];
  for (let at = 0; at < body.length; ) {
    const type = body[at];
    const found = itemAt(body, at + 1);
    if (found === undefined || (type !== 1 && type !== 2)) return undefined;
    const { modRevision: revision, key, value, createRevision, version, lease } = found.item;
    events.push(
      type === 1
        ? { type: "put", key, value, createRevision, revision, version, lease }
        : { type: "delete", key, revision },
    );
    at = found.end;
  }
  return events;
}

function eventValue(event: KvEvent): Uint8Array {
  return event.type === "put" ? event.value : NOTHING;
}

function putItem(body: Uint8Array, at: number, key: Uint8Array, item: Omit<KvItem, "key">): number {
  putU16(body, at, key.length);
  putU32(body, at + 2, item.value.length);
  putU53(body, at + 6, item.createRevision);
  putU53(body, at + 14, item.modRevision);
  putU53(body, at + 22, item.version);
  putU53(body, at + 30, item.lease);
  body.set(key, at + ITEM_HEAD_BYTES);
  body.set(item.value, at + ITEM_HEAD_BYTES + key.length);
  return at + ITEM_HEAD_BYTES + key.length + item.value.length;
}

function itemAt(body: Uint8Array, at: number): { readonly item: KvItem; readonly end: number } | undefined {
  if (at + ITEM_HEAD_BYTES > body.length) return undefined;
  const keyAt = at + ITEM_HEAD_BYTES;
  const valueAt = keyAt + u16At(body, at);
  const end = valueAt + u32At(body, at + 2);
  const [createRevision, modRevision] = [u53At(body, at + 6), u53At(body, at + 14)];
  const [version, lease] = [u53At(body, at + 22), u53At(body, at + 30)];
  if (end > body.length || Math.min(createRevision, modRevision, version, lease) < 0) return undefined;
  const key = textOf(body.subarray(keyAt, valueAt));
  if (key === undefined) return undefined;
  return {
    item: { key, value: body.subarray(valueAt, end), createRevision, modRevision, version, lease },
    end,
  };
}
