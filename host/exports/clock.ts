/**
 * tardigrade/clock: clocks that order the events of several machines.
 *
 *     using clock = hybridClock();
 *     const stamp = clock.tick();        // travels with the message
 *     clock.receive(stampOfAMessage);    // what comes later is above it
 */
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { createHybridClock, type HybridClock, type HybridClockOptions } from "../core/hybrid-clock.ts";
import {
  createLamportClock,
  createVectorClock,
  type LamportClock,
  nodeIdOf,
  type VectorClock,
  type VectorClockOptions,
} from "../core/logical-clocks.ts";
import { createVersioned, type Versioned, type VersionedOptions } from "../core/versioned.ts";
import { systemClock } from "../io/clock.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export { type HybridClock, type HybridClockOptions, stampMs } from "../core/hybrid-clock.ts";
export {
  type LamportClock,
  type Order,
  VECTOR_NODES_MAX,
  type VectorClock,
  type VectorClockOptions,
  type VectorEntry,
} from "../core/logical-clocks.ts";
export { SIBLINGS_MAX, type Versioned, type VersionedOptions, type Write } from "../core/versioned.ts";

let shared: Core | undefined;
/** One core for all of this entry point, so that its objects can be merged. */
function core(): Core {
  shared ??= openCore(readCoreBytes());
  return shared;
}

/** Stamps near wall time that never go back. Default clock: the machine's. */
export function hybridClock(
  options: HybridClockOptions & { readonly clock?: { wallMs(): number } } = {},
): HybridClock {
  return createHybridClock(core(), options.clock ?? systemClock(), options);
}
/** A counter above every stamp that was heard of. Throws ARGUMENT. */
export function lamportClock(options?: { readonly last?: bigint }): LamportClock {
  return createLamportClock(core(), options);
}
/** Tells before, after and concurrent apart. Throws ARGUMENT, POOL_FULL. */
export function vectorClock(options?: VectorClockOptions): VectorClock {
  return createVectorClock(core(), options);
}
/** A value that several nodes write, with siblings where they did not know of each other. Throws ARGUMENT. */
export function versioned<T>(options?: VersionedOptions): Versioned<T> {
  return createVersioned<T>(core(), options);
}
/** A node's number out of its name, the same on every machine. Throws ARGUMENT. */
export function nodeId(name: string): bigint {
  return nodeIdOf(core(), name);
}
