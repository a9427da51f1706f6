/**
 * A folder of the machine's file system as a Disk.
 *
 * Writes are synchronous: they go into the page cache, where a system call costs less than a trip through the
 * thread pool. Syncs are asynchronous, so that appends go on while the disk works. After a failed fdatasync
 * the kernel may mark the pages clean that it could not write (Rebello et al., "Can Applications Recover from
 * fsync Failures?", 2020), so a file whose sync failed once refuses every later one.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  open,
  openSync,
  read,
  writeSync,
} from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { resolve as absolute, dirname, join, normalize, sep } from "node:path";
import { promisify } from "node:util";
import { TardigradeError } from "../../protocols/error.ts";
import { takeLock } from "./lock-file.ts";
import type { Disk, DiskFile } from "./seams.ts";

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fsyncAsync = promisify(fsync);
const fdatasyncAsync = promisify(fdatasync);

/** A folder as a disk; it is made with the first folder in it. */
export function nodeDisk(folder: string): Disk {
  const root = absolute(folder);
  const resolve = (path: string): string => {
    const clean = normalize(path);
    if (clean === ".." || clean.startsWith(`..${sep}`) || clean.startsWith(sep)) {
      throw new TardigradeError("DISK_IO", `The path ${path} leaves the data folder; use a path below it.`);
    }
    return join(root, clean);
  };
  return {
    open: (path, options) => openFile(resolve(path), options?.create === true),
    list: (folder) => guarded("list", folder, () => listFolder(resolve(folder))),
    makeFolder: (folder) => guarded("make the folder", folder, () => makeFolders(root, resolve(folder))),
    syncFolder: (folder) => syncFolder(resolve(folder)),
    rename: (from, to) => guarded("rename", from, () => rename(resolve(from), resolve(to))),
    remove: (path) => guarded("remove", path, () => rm(resolve(path))),
    lock: async (path) => {
      const file = resolve(path);
      await guarded("make the folder", path, () => mkdir(join(file, ".."), { recursive: true }));
      return takeLock(file);
    },
  };
}

async function guarded<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw diskError(operation, path, cause);
  }
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return [];
    throw cause;
  }
}

/**
 * Makes the folder. What is inside the root the caller syncs; what is new on the way to the root is known
 * here alone.
 */
async function makeFolders(root: string, folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined || first.startsWith(root + sep)) return;
  for (let above = dirname(root); ; above = dirname(above)) {
    await syncFolder(above);
    if (above === dirname(first) || above === dirname(above)) return;
  }
}

async function syncFolder(folder: string): Promise<void> {
  try {
    const descriptor = openSync(folder, constants.O_RDONLY);
    try {
      await fsyncAsync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    throw syncError(folder, cause);
  }
}

async function openFile(path: string, create: boolean): Promise<DiskFile> {
  const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
  const descriptor = await guarded("open", path, () => openAsync(path, flags, 0o640));
  return new NodeFile(path, descriptor);
}

class NodeFile implements DiskFile {
  readonly #path: string;
  readonly #descriptor: number;
  /**
   * Calls in the thread pool; the descriptor is closed after the last, because its number may be given to
   * another file.
   */
  #busy = 0;
  #idle: (() => void) | undefined;
  #closed = false;
  #syncFailure: TardigradeError | undefined;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  sizeBytes(): number {
    this.#mustBeOpen();
    // Asked anew each time: another handle may have made the file longer.
    return fstatSync(this.#descriptor).size;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#mustBeOpen();
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.sizeBytes() - offset)));
    let filled = 0;
    this.#busy += 1;
    try {
      while (filled < bytes.length) {
        const count = await this.#readOnce(bytes, filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (cause) {
      throw diskError("read", this.#path, cause);
    } finally {
      this.#release();
    }
    return filled === bytes.length ? bytes : bytes.slice(0, filled);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#mustBeOpen();
    try {
      let written = 0;
      while (written < bytes.length) {
        written += writeSync(this.#descriptor, bytes, written, bytes.length - written, offset + written);
      }
    } catch (cause) {
      throw diskError("write", this.#path, cause);
    }
  }

  async sync(): Promise<void> {
    this.#mustBeOpen();
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    this.#busy += 1;
    try {
      await fdatasyncAsync(this.#descriptor);
    } catch (cause) {
      this.#syncFailure = syncError(this.#path, cause);
      throw this.#syncFailure;
    } finally {
      this.#release();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#busy > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await guarded("close", this.#path, () => closeAsync(this.#descriptor));
  }

  #readOnce(into: Uint8Array, at: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, into, at, into.length - at, position, (error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }

  #release(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#idle?.();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new TardigradeError("DISK_IO", `The file ${this.#path} is closed already.`);
  }
}

function codeOf(cause: unknown): string | undefined {
  return (cause as NodeJS.ErrnoException | undefined)?.code;
}

function diskError(operation: string, path: string, cause: unknown): TardigradeError {
  if (cause instanceof TardigradeError) return cause;
  const context = { component: "disk", operation, path };
  switch (codeOf(cause)) {
    case "ENOSPC":
    case "EDQUOT":
      return new TardigradeError(
        "DISK_FULL",
        `No room left to ${operation} ${path}; free space on its disk.`,
        { cause, context },
      );
    case "ENOENT":
      return new TardigradeError("NOT_FOUND", `There is no ${path}.`, { cause, context });
    default:
      return new TardigradeError(
        "DISK_IO",
        `Could not ${operation} ${path}; check the disk and the folder's permissions.`,
        {
          cause,
          context,
        },
      );
  }
}

function syncError(path: string, cause: unknown): TardigradeError {
  return new TardigradeError("DISK_SYNC", `Syncing ${path} failed; check the disk, then start again.`, {
    cause,
    context: { component: "disk", operation: "sync", path },
  });
}
