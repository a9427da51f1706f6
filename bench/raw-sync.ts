/** What the disk itself does: one 4 KiB block written in place and synced, again and again. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";

const BLOCK_BYTES = 4096;
const BLOCKS = 64;

/** Syncs a second. */
export function rawSyncRate(folder: string, count: number): number {
  const file = openSync(join(folder, "raw-sync"), "w");
  const clock = systemClock();
  const block = Buffer.alloc(BLOCK_BYTES, 0x5a);
  try {
    // The blocks exist before, so that a sync writes no metadata.
    for (let index = 0; index < BLOCKS; index += 1)
      writeSync(file, block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
    fdatasyncSync(file);
    const startedMs = clock.monotonicMs();
    for (let index = 0; index < count; index += 1) {
      writeSync(file, block, 0, BLOCK_BYTES, (index % BLOCKS) * BLOCK_BYTES);
      fdatasyncSync(file);
    }
    return (count / (clock.monotonicMs() - startedMs)) * 1000;
  } finally {
    closeSync(file);
  }
}
