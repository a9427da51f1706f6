/** What clients of a simulated store asked and were told, and whether a store of one copy could have answered so. */
import type { KvEvent } from "../../cluster/kv/events.ts";
import {
  checkLinearizability,
  describeVerdict,
  type Model,
  type Operation,
} from "../linearizability/checker.ts";

export type KvInput =
  | { readonly kind: "get" | "delete"; readonly key: string }
  | { readonly kind: "put"; readonly key: string; readonly value: number }
  | { readonly kind: "compare-and-set"; readonly key: string; readonly from: number; readonly to: number };
/** The value of a get (null: none), or whether a write was done. */
export type KvOutput = number | null | boolean;

/** The keys of a store, each by itself; null is a key that is not there. */
export const kvModel: Model<number | null, KvInput, KvOutput> = {
  initial: null,
  step(state, input, output) {
    switch (input.kind) {
      case "get":
        return output === undefined || output === state ? state : undefined;
      case "put":
        return input.value;
      case "delete":
        return null;
      case "compare-and-set": {
        const done = state === input.from;
        if (output !== undefined && output !== done) return undefined;
        return done ? input.to : state;
      }
    }
  },
  key: (state) => String(state),
  partition: ({ key }) => key,
  describe(input, output) {
    const answer = output === undefined ? "?" : String(output);
    if (input.kind === "put") return `put ${input.key} ${input.value} -> ${answer}`;
    if (input.kind === "compare-and-set")
      return `compare-and-set ${input.key} ${input.from} to ${input.to} -> ${answer}`;
    return `${input.kind} ${input.key} -> ${answer}`;
  },
};

export interface RangeSeen {
  readonly from: string;
  readonly to: string;
  readonly revision: number;
  readonly items: readonly { readonly key: string; readonly value: number }[];
  readonly calledAt: number;
  readonly by: number;
}

/** A write that was acknowledged and changed something, with the revision that the store was at after it. */
export interface Acknowledged {
  readonly key: string;
  /** Null: deleted. */
  readonly value: number | null;
  readonly revision: number;
  readonly returnedAt: number;
}

export interface WatchSeen {
  readonly from: string;
  readonly to: string;
  /** Nothing before it was asked for. */
  readonly fromRevision: number;
  readonly events: readonly KvEvent[];
  readonly by: number;
}

export class History {
  readonly operations: Operation<KvInput, KvOutput>[] = [];
  readonly ranges: RangeSeen[] = [];
  readonly acknowledged: Acknowledged[] = [];
  readonly watches: WatchSeen[] = [];

  /** Undefined when every key's operations are linearizable; else what is wrong. A verdict that was not reached is wrong too. */
  judge(stepsMax: number): string | undefined {
    const verdict = checkLinearizability(this.operations, kvModel, { stepsMax });
    return verdict.verdict === "linearizable" ? undefined : describeVerdict(verdict, kvModel);
  }
}
