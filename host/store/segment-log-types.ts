/** What a segment log is to those who use it. */
import type { Clock, Disk, Dispose, Logger, Meter, Random } from "../io/seams.ts";
import type { LogPage } from "./segment-reader.ts";

export interface SegmentLogOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly clock: Clock;
  /** Gives the log its identity, which no payload can guess. */
  readonly random?: Random;
  /** Size of new segments, a multiple of 512; 16 MiB by default. */
  readonly segmentBytes?: number;
  /** A batch is closed at this size; 256 KiB by default. A larger record gets a batch of its own. */
  readonly batchBytesMax?: number;
  /** Appended and not yet synced; beyond it append() throws QUEUE_FULL. 16 MiB by default. */
  readonly pendingBytesMax?: number;
  /** Beyond it append() throws RECORD_OVERSIZE. As much as a segment takes by default. */
  readonly recordBytesMax?: number;
  /** After so long without appends the last batch is proven by an empty one; 5 s by default. */
  readonly proofIdleMs?: number;
  /** Between two attempts on a full disk; 1 s by default. */
  readonly fullRetryMs?: number;
  readonly meter?: Meter;
  readonly logger?: Logger;
}

export interface OpenReport {
  readonly segments: number;
  readonly records: number;
  /** Unsynced bytes that were cut off the end. */
  readonly tornBytes: number;
}

/** `full`: nothing is committed until the disk has room. */
export type LogState = "ok" | "full";

export interface SegmentLog {
  readonly openReport: OpenReport;
  /** Where the oldest record may stand. */
  readonly start: number;
  /** Offset that the next record is going to have, or less. */
  readonly end: number;
  /** Records below this offset are durable. */
  readonly syncedEnd: number;
  readonly state: LogState;
  readonly pendingBytes: number;
  /** The longest record that append() takes. */
  readonly recordBytesMax: number;
  /** What append() lets wait for the disk: a record counts with four bytes more than it has. */
  readonly pendingBytesMax: number;
  /**
   * Copies the record into the log and returns its offset; it is durable when syncedEnd is above that. Throws
   * QUEUE_FULL, RECORD_OVERSIZE, or the error that ended the log.
   */
  append(payload: Uint8Array): number;
  onDurable(listener: (syncedEnd: number) => void): Dispose;
  /** Resolves when the record at `offset` is durable. For hot paths onDurable() is cheaper. */
  durable(offset: number): Promise<void>;
  onState(listener: (state: LogState) => void): Dispose;
  /**
   * The log ended by an error, DISK_SYNC mostly. The process should end: a restart finds what is on the disk.
   */
  onFatal(listener: (error: Error) => void): Dispose;
  /**
   * Durable records from `from` on, at least one where there is one, then up to `limitBytes`. An offset below
   * `start` reads from `start`: who must not miss records compares the two.
   */
  read(from: number, limitBytes: number): Promise<LogPage>;
  /** Removes whole segments below `offset`, durably. The newest segment always stays. */
  removeBefore(offset: number): Promise<void>;
  /** Commits what is pending, proves the last batch and lets the folder go. */
  close(): Promise<void>;
}

export const LOG_DEFAULTS = {
  segmentBytes: 16 * 1024 * 1024,
  batchBytesMax: 256 * 1024,
  pendingBytesMax: 16 * 1024 * 1024,
  proofIdleMs: 5_000,
  fullRetryMs: 1_000,
} as const;
