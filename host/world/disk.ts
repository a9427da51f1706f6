/**
 * A disk that forgets. What was not synced may be lost, torn or reordered at a power cut (disk-file.ts,
 * disk-folder.ts); it fills up, takes its time to sync and fails on demand.
 *
 * A process sees the disk through a mount. powerCut() and kill() end every mount: whatever the dead process
 * still does through it is refused with SimulatedCrash and changes nothing. kill() keeps the page cache, as a
 * killed process does; powerCut() does not. The disk itself is a Disk too, always seen through its newest
 * mount.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Clock, Disk, DiskFile } from "../io/seams.ts";
import { SimulatedFileBytes } from "./disk-file.ts";
import { bytesBelow, isFile, SimulatedFolder } from "./disk-folder.ts";
import type { SeededRandom } from "./random.ts";

/** The process that asked is dead; nothing of what it does counts any more. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

export type CrashKind = "power" | "kill";

export interface SimulatedDiskOptions {
  readonly random: SeededRandom;
  /** Needed when syncs take time. */
  readonly clock?: Clock;
  /** How long a sync takes; 0 by default. */
  readonly syncMs?: number;
  readonly capacityBytes?: number;
}

interface Mount {
  alive: boolean;
  readonly locks: Set<string>;
}

export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #clock: Clock | undefined;
  #root = new SimulatedFolder();
  #mount: Mount = { alive: true, locks: new Set() };
  #disk: Disk;
  #operations = 0;
  #crashAt: { readonly operation: number; readonly kind: CrashKind } | undefined;
  #syncFailures = 0;
  #readFailures = 0;
  #usedBytes = 0;
  syncMs: number;
  capacityBytes: number;

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random;
    this.#clock = options.clock;
    this.syncMs = options.syncMs ?? 0;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.#disk = this.#view(this.#mount);
  }

  /** The disk as the process that runs now sees it. */
  mount(): Disk {
    return this.#disk;
  }

  /** Cuts the power: unsynced sectors and folder entries persist or not, and every mount ends. */
  powerCut(): void {
    this.#root.powerCut(this.#random);
    this.#usedBytes = bytesBelow(this.#root);
    this.#remount();
  }

  /** Ends the process: what it wrote stays, synced or not. */
  kill(): void {
    this.#remount();
  }

  /** Writes, syncs and changes of folders so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Crashes in the middle of the n-th operation from now, 1 being the next. */
  crashAfter(operations: number, kind: CrashKind): void {
    this.#crashAt = { operation: this.#operations + operations, kind };
  }

  get crashArmed(): boolean {
    return this.#crashAt !== undefined;
  }

  disarm(): void {
    this.#crashAt = undefined;
  }

  failSyncs(count = 1): void {
    this.#syncFailures += count;
  }

  failReads(count = 1): void {
    this.#readFailures += count;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Flips bits of a byte on the medium. */
  corrupt(path: string, offset: number, mask = 0xff): void {
    this.#file(path).corrupt(offset, mask);
  }

  /** What a reader sees in a file now. */
  peek(path: string): Uint8Array<ArrayBuffer> {
    const file = this.#file(path);
    return file.read(0, file.sizeBytes);
  }

  /** A copy with a life of its own, as after a kill. */
  clone(random: SeededRandom): SimulatedDisk {
    const copy = new SimulatedDisk({
      random,
      ...(this.#clock === undefined ? {} : { clock: this.#clock }),
      syncMs: this.syncMs,
      capacityBytes: this.capacityBytes,
    });
    copy.#root = this.#root.clone();
    copy.#usedBytes = this.#usedBytes;
    return copy;
  }

  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile> {
    return this.#disk.open(path, options);
  }
  list(folder: string): Promise<readonly string[]> {
    return this.#disk.list(folder);
  }
  makeFolder(folder: string): Promise<void> {
    return this.#disk.makeFolder(folder);
  }
  syncFolder(folder: string): Promise<void> {
    return this.#disk.syncFolder(folder);
  }
  rename(from: string, to: string): Promise<void> {
    return this.#disk.rename(from, to);
  }
  remove(path: string): Promise<void> {
    return this.#disk.remove(path);
  }
  lock(path: string): Promise<{ release(): Promise<void> }> {
    return this.#disk.lock(path);
  }

  #view(mount: Mount): Disk {
    return {
      open: async (path, options) => {
        mustLive(mount);
        const { folder, name } = this.#parent(path);
        let node = folder.get(name);
        if (node === undefined) {
          if (options?.create !== true) throw notFound(path);
          node = this.#createFile(mount, folder, name);
        }
        if (!isFile(node)) throw new TardigradeError("DISK_IO", `${path} is a folder.`);
        return this.#handle(mount, path, node);
      },
      list: async (path) => {
        mustLive(mount);
        return this.#folder(path)?.names() ?? [];
      },
      makeFolder: async (path) => this.#makeFolder(mount, path),
      syncFolder: async (path) => {
        mustLive(mount);
        const folder = this.#folder(path);
        if (folder === undefined) throw notFound(path);
        const finish = folder.beginSync();
        await this.#sync(mount, path, finish, () => undefined);
      },
      rename: async (from, to) => this.#rename(mount, from, to),
      remove: async (path) => {
        mustLive(mount);
        const { folder, name } = this.#parent(path);
        const node = folder.get(name);
        if (node === undefined) throw notFound(path);
        folder.remove(name);
        if (isFile(node)) this.#usedBytes -= node.sizeBytes;
        this.#step(mount);
      },
      lock: async (path) => {
        mustLive(mount);
        if (mount.locks.has(path)) {
          throw new TardigradeError(
            "LOG_LOCKED",
            `Another process holds ${path}; stop it or choose another data folder.`,
          );
        }
        mount.locks.add(path);
        return {
          release: async () => {
            mount.locks.delete(path);
          },
        };
      },
    };
  }

  #handle(mount: Mount, path: string, file: SimulatedFileBytes): DiskFile {
    let open = true;
    let failure: TardigradeError | undefined;
    const check = (): void => {
      mustLive(mount);
      if (!open) throw new TardigradeError("DISK_IO", `The file ${path} is closed already.`);
    };
    return {
      sizeBytes: () => file.sizeBytes,
      read: async (offset, length) => {
        check();
        if (this.#readFailures > 0) {
          this.#readFailures -= 1;
          throw new TardigradeError("DISK_IO", `Could not read ${path}; check the disk.`);
        }
        return file.read(offset, length);
      },
      write: (offset, bytes) => {
        check();
        const growth = Math.max(0, offset + bytes.length - file.sizeBytes);
        if (growth > 0 && this.#usedBytes + growth > this.capacityBytes) {
          throw new TardigradeError("DISK_FULL", `No room left to write ${path}; free space on its disk.`);
        }
        this.#usedBytes += growth;
        file.write(offset, bytes);
        this.#step(mount);
      },
      sync: async () => {
        check();
        if (failure !== undefined) throw failure;
        const finish = file.beginSync();
        await this.#sync(mount, path, finish, () => {
          file.failSync(this.#random);
          failure = syncFailed(path);
        });
      },
      close: async () => {
        open = false;
      },
    };
  }

  async #sync(mount: Mount, path: string, finish: () => void, fail: () => void): Promise<void> {
    // The crash of this step may come before or after the medium has everything; the caller hears of neither.
    const early = this.#crashAt === undefined || this.#random.chance(0.5);
    if (early) this.#step(mount);
    await this.#elapse();
    mustLive(mount);
    if (this.#syncFailures > 0) {
      this.#syncFailures -= 1;
      fail();
      throw syncFailed(path);
    }
    finish();
    if (!early) this.#step(mount);
  }

  async #elapse(): Promise<void> {
    const clock = this.#clock;
    if (clock === undefined || this.syncMs <= 0) return;
    await new Promise<void>((resolve) => clock.alarm(this.syncMs, resolve));
  }

  #createFile(mount: Mount, folder: SimulatedFolder, name: string): SimulatedFileBytes {
    const file = new SimulatedFileBytes();
    folder.put(name, file);
    this.#step(mount);
    return file;
  }

  async #makeFolder(mount: Mount, path: string): Promise<void> {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      mustLive(mount);
      let next = folder.get(name);
      if (next === undefined) {
        next = new SimulatedFolder();
        folder.put(name, next);
        this.#step(mount);
      }
      if (isFile(next)) throw new TardigradeError("DISK_IO", `${path} runs through a file.`);
      folder = next;
    }
  }

  async #rename(mount: Mount, from: string, to: string): Promise<void> {
    mustLive(mount);
    const source = this.#parent(from);
    const target = this.#parent(to);
    const node = source.folder.get(source.name);
    if (node === undefined) throw notFound(from);
    const replaced = target.folder.get(target.name);
    if (isFile(replaced) && replaced !== node) this.#usedBytes -= replaced.sizeBytes;
    if (source.folder === target.folder) {
      source.folder.rename({ from: source.name, to: target.name }, node);
    } else {
      target.folder.put(target.name, node);
      source.folder.remove(source.name);
    }
    this.#step(mount);
  }

  /** Counts an operation, and crashes when it is the one. */
  #step(mount: Mount): void {
    this.#operations += 1;
    const crash = this.#crashAt;
    if (crash === undefined || this.#operations < crash.operation) return;
    this.#crashAt = undefined;
    if (crash.kind === "power") this.powerCut();
    else this.kill();
    mustLive(mount);
  }

  #remount(): void {
    this.#mount.alive = false;
    this.#mount = { alive: true, locks: new Set() };
    this.#disk = this.#view(this.#mount);
  }

  #folder(path: string): SimulatedFolder | undefined {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      const next = folder.get(name);
      if (next === undefined || isFile(next)) return undefined;
      folder = next;
    }
    return folder;
  }

  #parent(path: string): { folder: SimulatedFolder; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const folder = this.#folder(parts.join("/"));
    if (folder === undefined || name === undefined) throw notFound(path);
    return { folder, name };
  }

  #file(path: string): SimulatedFileBytes {
    const { folder, name } = this.#parent(path);
    const node = folder.get(name);
    if (!isFile(node)) throw notFound(path);
    return node;
  }
}

function mustLive(mount: Mount): void {
  if (!mount.alive) throw new SimulatedCrash("The process that mounted this disk is dead.");
}

function partsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) {
    throw new TardigradeError("DISK_IO", `The path ${path} leaves the data folder; use a path below it.`);
  }
  return parts;
}

function notFound(path: string): TardigradeError {
  return new TardigradeError("NOT_FOUND", `There is no ${path}.`);
}

function syncFailed(path: string): TardigradeError {
  return new TardigradeError("DISK_SYNC", `Syncing ${path} failed; check the disk, then start again.`);
}
