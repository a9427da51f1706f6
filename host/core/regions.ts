/**
 * Memory of the core that is given back: its heap only grows, so a region that is free again waits here for the next that fits. Regions have
 * powers of two as their size, so that what changes its size a little every day does not use up the memory.
 */
import type { Core } from "./core.ts";

const SMALLEST_BYTES = 64;

export interface Region {
  readonly at: number;
  readonly bytes: number;
}

const freeOf = new WeakMap<Core, Map<number, Region[]>>();

/** At least so many bytes, aligned to 16; what is in them is whatever was there. */
export function takeRegion(core: Core, bytes: number): Region {
  const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, SMALLEST_BYTES)));
  const waiting = freeOf.get(core)?.get(size)?.pop();
  return waiting ?? { at: core.allocate(size), bytes: size };
}

export function giveRegion(core: Core, region: Region): void {
  const bySize = freeOf.get(core) ?? new Map<number, Region[]>();
  freeOf.set(core, bySize);
  const waiting = bySize.get(region.bytes) ?? [];
  bySize.set(region.bytes, waiting);
  waiting.push(region);
}
