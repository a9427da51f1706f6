/**
 * The file of users, tokens and devices on disk, shared by the gateway, which reads, and the command line, which writes while the
 * gateway runs. Written whole beside it, synced and renamed over it, readable by its owner alone. The gateway looks at the
 * file's state at most every LOOK_MS, so that a revocation counts within that time and a flood of log-ins reads no file.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import { takeLock } from "./lock-file.ts";
import type { Clock, Logger } from "./seams.ts";

export const LOOK_MS = 500;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const OWNER_ONLY = 0o600;

export interface TextFile {
  /** As it is; undefined while there is none. */
  readonly text: string | undefined;
}

/** Throws FILE_UNREADABLE. */
export function readText(path: string): string | undefined {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) throw new Error("it is too large");
    return readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new TardigradeError("FILE_UNREADABLE", `${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Changes the file under a lock. `change` gets the text and gives the new one; what it throws leaves the file as it was. */
export async function changeText<T>(
  path: string,
  change: (text: string | undefined) => Promise<{ readonly text: string; readonly result: T }>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const lock = await takeLock(`${path}.lock`);
  try {
    const { text, result } = await change(readText(path));
    const partial = `${path}.partial`;
    const file = openSync(partial, "w", OWNER_ONLY);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
    return result;
  } finally {
    await lock.release();
  }
}

/** What `parse` made of the file, anew when the file changed. A file that went bad keeps the last good value and is logged. */
export function watchedFile<T>(options: {
  readonly path: string;
  readonly parse: (text: string | undefined) => T;
  readonly clock: Clock;
  readonly logger: Logger;
}): () => T {
  const { path, parse, clock, logger } = options;
  let seen = stampOf(path);
  // At the start a bad file is an error.
  let value = parse(readText(path));
  let lookedMs = clock.monotonicMs();
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs < LOOK_MS) return value;
    lookedMs = nowMs;
    const stamp = stampOf(path);
    if (stamp === seen) return value;
    seen = stamp;
    try {
      value = parse(readText(path));
    } catch (error) {
      logger.error("the file of users, tokens and devices is damaged; the last good one stays in force", {
        path,
        error,
      });
    }
    return value;
  };
}

function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "" : `${found.ino} ${found.size} ${found.mtimeMs}`;
}
