/** What the gateway needs of other layers, where those offer more or are chosen by the caller. */
import type { StateReader, StateTransaction } from "../store/state-store.ts";
import type { HistoryPoint } from "./service.ts";

/** Stamps of the hybrid logical clock, each above the one before. */
export interface Stamps {
  next(): bigint;
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
  /** Removes points beyond their retention, a bounded number a call. */
  expire(transaction: StateTransaction, nowMs: number): unknown;
}
