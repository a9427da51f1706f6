/**
 * What the gateway needs of the layers below it, as narrow interfaces: the segment log and the history of host/store have
 * these shapes, and a test may give its own.
 */
import type { Dispose } from "../io/seams.ts";
import type { StateReader, StateTransaction } from "../store/state-store.ts";
import type { HistoryPoint } from "./service.ts";

/** Stamps of the hybrid logical clock, each above the one before. */
export interface Stamps {
  next(): bigint;
}

export interface RecordLog {
  /** Buffers a copy and returns the record's offset. Throws QUEUE_FULL, RECORD_OVERSIZE. */
  append(payload: Uint8Array): number;
  /** Called after each sync; every record with an offset below `syncedOffset` is on disk. */
  onDurable(listener: (syncedOffset: number) => void): Dispose;
  /** First offset that is still there. */
  readonly start: number;
  readonly syncedEnd: number;
  readonly end: number;
  /** Synced records from `from` on, at least one if there is one; `next` is where the following read begins. */
  read(
    from: number,
    limitBytes: number,
  ): Promise<{
    readonly records: readonly { readonly offset: number; readonly payload: Uint8Array }[];
    readonly next: number;
  }>;
  /** Frees whole segments below the offset. */
  removeBefore(offset: number): Promise<void>;
  /** The disk became full, or has room again. */
  onState(listener: (full: boolean) => void): Dispose;
  readonly segments: number;
  readonly tornBytes: number;
}

export interface HistoryWriter {
  append(
    transaction: StateTransaction,
    point: {
      readonly device: string;
      readonly metric: string;
      readonly timeMs: number;
      readonly value: number;
    },
  ): void;
  query(
    reader: StateReader,
    query: {
      readonly device: string;
      readonly metric: string;
      readonly fromMs: number;
      readonly toMs: number;
      readonly resolution: "raw" | "minute" | "hour";
      readonly limit: number;
    },
  ): readonly HistoryPoint[];
  /** Removes at most a bounded number of points beyond their retention; how many it removed. */
  expire(transaction: StateTransaction, nowMs: number): number;
}
