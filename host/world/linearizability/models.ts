/** Objects that histories are judged against. */
import type { Model } from "./checker.ts";

export type RegisterInput =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly value: number }
  | { readonly kind: "compare-and-set"; readonly from: number; readonly to: number };
/** A value read (null: none yet), or whether a compare-and-set took place; a write answers true. */
export type RegisterOutput = number | null | boolean;

/** One value, with compare-and-set. */
export const registerModel: Model<number | null, RegisterInput, RegisterOutput> = {
  initial: null,
  step(state, input, output) {
    if (input.kind === "read") return output === undefined || output === state ? state : undefined;
    if (input.kind === "write") return input.value;
    const isSet = state === input.from;
    if (output !== undefined && output !== isSet) return undefined;
    return isSet ? input.to : state;
  },
  key: (state) => String(state),
  describe(input, output) {
    const answer = output === undefined ? "?" : String(output);
    if (input.kind === "read") return `read -> ${answer}`;
    if (input.kind === "write") return `write ${input.value}`;
    return `compare-and-set ${input.from} to ${input.to} -> ${answer}`;
  },
};

export type QueueInput =
  | { readonly kind: "push"; readonly value: number }
  /** From the end that the model says: the oldest of a queue, the newest of a stack. */
  | { readonly kind: "take" }
  /** The oldest of a deque. */
  | { readonly kind: "steal" };
/** Whether there was room, or the value, or null for none. */
export type QueueOutput = boolean | number | null;

/** Bounded sequence of values: `take` from its front ("fifo") or its back ("lifo"), `steal` from its front. */
export function sequenceModel(
  order: "fifo" | "lifo",
  capacity: number,
): Model<readonly number[], QueueInput, QueueOutput> {
  return {
    initial: [],
    step(state, input, output) {
      if (input.kind === "push") {
        const fits = state.length < capacity;
        if (output !== undefined && output !== fits) return undefined;
        return fits ? [...state, input.value] : state;
      }
      const isFront = input.kind === "steal" || order === "fifo";
      const value = state.at(isFront ? 0 : -1) ?? null;
      if (output !== undefined && output !== value) return undefined;
      return isFront ? state.slice(1) : state.slice(0, -1);
    },
    key: (state) => state.join(","),
    describe: (input, output) =>
      `${input.kind}${input.kind === "push" ? ` ${input.value}` : ""} -> ${output === undefined ? "?" : String(output)}`,
  };
}

export type MapInput =
  | { readonly kind: "get" | "delete"; readonly key: number }
  | { readonly kind: "set" | "add"; readonly key: number; readonly value: number }
  | {
      readonly kind: "compare-and-set";
      readonly key: number;
      readonly from: number;
      readonly to: number;
    };
/** The value (null: none) of get and delete, else whether it was done. */
export type MapOutput = number | null | boolean;

/** A map, key by key. */
export const mapModel: Model<number | null, MapInput, MapOutput> = {
  initial: null,
  step(state, input, output) {
    const [answer, next] = mapStep(state, input);
    return output === undefined || output === answer ? next : undefined;
  },
  key: (state) => String(state),
  partition: ({ key }) => String(key),
  describe: (input, output) => `${JSON.stringify(input)} -> ${output === undefined ? "?" : String(output)}`,
};

function mapStep(state: number | null, input: MapInput): readonly [MapOutput, number | null] {
  switch (input.kind) {
    case "get":
      return [state, state];
    case "delete":
      return [state, null];
    case "set":
      return [true, input.value];
    case "add":
      return state === null ? [true, input.value] : [false, state];
    case "compare-and-set":
      return state === input.from ? [true, input.to] : [false, state];
  }
}
