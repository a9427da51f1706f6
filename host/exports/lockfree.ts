/**
 * tardigrade/lockfree: structures in memory that worker threads share, without locks. One thread creates, others attach by its handle:
 *
 *     const readings = ring({ schema: { time: "f64", channel: "u8", value: "f32" }, capacity: 1024 });
 *     worker.postMessage(readings.handle);
 *     for await (const { channel, value } of readings.consumer()) store(channel, value);
 *
 *     // in the worker
 *     const producer = attach(handle).producer();
 *     await producer.push({ time: Date.now(), channel: 0, value: 21.5 });
 */

import { TardigradeError } from "../../protocols/error.ts";
import { type BlocksOptions, Pool, Stack } from "../concurrency/blocks.ts";
import { BytesRing, type BytesRingOptions } from "../concurrency/bytes-ring.ts";
import { Deque, type DequeOptions } from "../concurrency/deque.ts";
import { Latest, type LatestOptions } from "../concurrency/latest.ts";
import { type MapOptions, SharedMap } from "../concurrency/map.ts";
import { Queue, type QueueOptions } from "../concurrency/queue.ts";
import { Ring, type RingOptions } from "../concurrency/ring.ts";
import type { Schema } from "../concurrency/schema.ts";
import { type Handle, Space } from "../concurrency/space.ts";
import { readCoreBytes } from "../core/core-bytes.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type { BlocksOptions, Pool, Stack } from "../concurrency/blocks.ts";
export type { BytesConsumer, BytesProducer, BytesRing, BytesRingOptions } from "../concurrency/bytes-ring.ts";
export type { Deque, DequeOptions, DequeOwner } from "../concurrency/deque.ts";
export { abandonOnExit, type Exiting, type Side } from "../concurrency/ends.ts";
export type { Latest, LatestOptions, LatestWriter } from "../concurrency/latest.ts";
export type { MapOptions, SharedMap } from "../concurrency/map.ts";
export type { Queue, QueueOptions } from "../concurrency/queue.ts";
export type { Ring, RingConsumer, RingOptions, RingProducer } from "../concurrency/ring.ts";
export type { Field, RecordOf, Schema, View, Write } from "../concurrency/schema.ts";
export type { Handle, Space } from "../concurrency/space.ts";

let compiled: WebAssembly.Module | undefined;
let sizing: Space | undefined;

function module(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readCoreBytes("shared"));
  return compiled;
}

/** Memory for several structures together. `bytes`: what they need in all, up to 2^31; a structure that does not fit throws SHARED_FULL. */
export function space({ bytes }: { readonly bytes: number }): Space {
  return Space.create(module(), bytes);
}

/** A kind of structure: how much it needs, and how it is laid into a space. */
interface Kind<Options, Of> {
  bytes(of: Pick<Space, "raw">, options: Options): number;
  create(space: Space, options: Options): Of;
}

/** In the space given, or in one of its own. */
function make<Options, Of>(kind: Kind<Options, Of>, options: Options, within: Space | undefined): Of {
  sizing ??= space({ bytes: 1 });
  return kind.create(within ?? space({ bytes: kind.bytes(sizing, options) }), options);
}

/** Records of one layout, from one thread to one other, in order. Throws ARGUMENT. */
export function ring<S extends Schema>(options: RingOptions<S>, within?: Space): Ring<S> {
  return make<RingOptions<S>, Ring<S>>(Ring, options, within);
}
/** Messages of any length, from one thread to one other, in order. Throws ARGUMENT. */
export function bytesRing(options: BytesRingOptions, within?: Space): BytesRing {
  return make(BytesRing, options, within);
}
/** Records of one layout, from any threads to any. Throws ARGUMENT. */
export function queue<S extends Schema>(options: QueueOptions<S>, within?: Space): Queue<S> {
  return make<QueueOptions<S>, Queue<S>>(Queue, options, within);
}
/** The newest value that one thread wrote, for all. Throws ARGUMENT. */
export function latest<S extends Schema>(options: LatestOptions<S>, within?: Space): Latest<S> {
  return make<LatestOptions<S>, Latest<S>>(Latest, options, within);
}
/** Allocator of records. Throws ARGUMENT. */
export function pool<S extends Schema>(options: BlocksOptions<S>, within?: Space): Pool<S> {
  return make<BlocksOptions<S>, Pool<S>>(Pool, options, within);
}
/** Records, the last one first. Throws ARGUMENT. */
export function stack<S extends Schema>(options: BlocksOptions<S>, within?: Space): Stack<S> {
  return make<BlocksOptions<S>, Stack<S>>(Stack, options, within);
}
/** One thread's own work, of which others steal. Throws ARGUMENT. */
export function deque(options: DequeOptions, within?: Space): Deque {
  return make(Deque, options, within);
}
/** From whole numbers to 32-bit values. Throws ARGUMENT. */
export function map(options: MapOptions, within?: Space): SharedMap {
  return make(SharedMap, options, within);
}

const OPENERS: Readonly<Record<string, { open(handle: Handle<never>): unknown }>> = {
  ring: Ring,
  "bytes-ring": BytesRing,
  queue: Queue,
  latest: Latest,
  pool: Pool,
  stack: Stack,
  deque: Deque,
  map: SharedMap,
};

/** Opens what another thread created. Throws ARGUMENT when it is no handle. */
export function attach<Of>(handle: Handle<Of>): Of {
  const opener = isHandle(handle) ? OPENERS[handle.kind] : undefined;
  if (opener !== undefined) return opener.open(handle as Handle<never>) as Of;
  throw new TardigradeError(
    "ARGUMENT",
    "This is no handle of a shared structure; pass on its `handle` as it is, by postMessage or workerData.",
    { context: { component: "lockfree" } },
  );
}

/** Plain data may come from anywhere; what it says is checked before memory is touched by it. */
function isHandle(value: unknown): value is Handle {
  if (typeof value !== "object" || value === null) return false;
  const { tardigrade, kind, module: code, memory, at } = value as Partial<Handle>;
  return (
    tardigrade === "lockfree" &&
    typeof kind === "string" &&
    Object.hasOwn(OPENERS, kind) &&
    code instanceof WebAssembly.Module &&
    memory instanceof WebAssembly.Memory &&
    Number.isInteger(at) &&
    (at as number) % 64 === 0 &&
    (at as number) >= 128 &&
    (at as number) < memory.buffer.byteLength
  );
}
