/**
 * The next segment, prepared ahead: zero-filled, synced, and waiting under a name that recovery throws away.
 * Writing into bytes that are allocated already lets fdatasync leave the file's metadata alone, which is what
 * makes commits fast; and a full disk shows here, before a batch needs the room.
 *
 * A segment gets its real name only when it is whole and synced. So a segment that recovery finds under its
 * name has a whole header, or the disk is damaged.
 */
import { isTardigradeError } from "../../protocols/error.ts";
import type { Disk, DiskFile } from "../io/seams.ts";
import type { RoomWaiter } from "./room-waiter.ts";
import { encodeSegmentHeader, type SegmentHeader } from "./segment.ts";

/**
 * Zeros written between two syncs: little enough not to hold up the event loop or the commits that share the
 * disk.
 */
const FILL_CHUNK_BYTES = 2 * 1024 * 1024;

export const SPARE_NAME = "spare";

interface Prepared {
  readonly header: SegmentHeader;
  readonly file: Promise<DiskFile>;
}

export class SpareSegment {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #room: RoomWaiter;
  readonly #onFailure: (error: unknown) => void;
  #prepared: Prepared | undefined;
  #closing = false;

  constructor(options: {
    readonly disk: Disk;
    readonly folder: string;
    readonly room: RoomWaiter;
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#disk = options.disk;
    this.#path = `${options.folder}/${SPARE_NAME}`;
    this.#room = options.room;
    this.#onFailure = options.onFailure;
  }

  get path(): string {
    return this.#path;
  }

  /** Starts preparing the segment of this header, unless it is under way. */
  prepare(header: SegmentHeader): void {
    if (this.#prepared !== undefined) return;
    const file = this.#fill(header);
    file.catch(this.#onFailure);
    this.#prepared = { header, file };
  }

  /** The prepared file, whole and synced; waits for room on a full disk. The caller renames it. */
  async take(header: SegmentHeader): Promise<DiskFile> {
    this.prepare(header);
    const prepared = this.#prepared as Prepared;
    if (prepared.header.base !== header.base)
      throw new Error(`the spare was prepared for offset ${prepared.header.base}`);
    const file = await prepared.file;
    this.#prepared = undefined;
    return file;
  }

  async close(): Promise<void> {
    this.#closing = true;
    const file = await this.#prepared?.file.catch(() => undefined);
    await file?.close();
  }

  async #fill(header: SegmentHeader): Promise<DiskFile> {
    const file = await this.#whenRoom(() => this.#disk.open(this.#path, { create: true }));
    try {
      for (let at = 0; at < header.bytes; at += FILL_CHUNK_BYTES) {
        const chunk = new Uint8Array(Math.min(FILL_CHUNK_BYTES, header.bytes - at));
        if (at === 0) chunk.set(encodeSegmentHeader(header));
        if (this.#closing) throw new Error("the log closed while its next segment was being prepared");
        await this.#whenRoom(() => file.write(at, chunk));
        await file.sync();
      }
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #whenRoom<T>(work: () => T | Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await work();
        this.#room.done("spare");
        return result;
      } catch (error) {
        if (!isTardigradeError(error) || error.code !== "DISK_FULL") throw error;
        await this.#room.wait("spare", error);
      }
    }
  }
}
