/**
 * Whether a history of concurrent operations is linearizable: whether each can be given a moment between its call and its return so that the sequence is one that the object, used by one
 * thread, could have had (Herlihy and Wing, "Linearizability", 1990).
 *
 * The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993): take an operation that nobody's return precedes, let the model do it, go on; go back where nothing fits. With the memory of
 * Lowe ("Testing for Linearizability", 2017): the same operations done with the same state reached a second time are not tried again. Histories of independent keys are judged key by key (Horn and Kroening, 2015).
 */

export interface Operation<Input, Output> {
  readonly input: Input;
  /** Undefined when nobody knows how it ended: it may have taken effect at any time after its call, or never. */
  readonly output: Output | undefined;
  /** Times of call and return on one clock; Infinity for one that did not return. Operations that touch count as concurrent. */
  readonly calledAt: number;
  readonly returnedAt: number;
  /** Whose it was, for reports. */
  readonly by?: string | number;
}

/** The object, used by one thread. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** The state after it, or undefined when the object in that state would not have answered so. Without an output every answer will do. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal for equal states. */
  key(state: State): string;
  /** Operations of different partitions never touch the same state. Default: one for all. */
  partition?(input: Input): string;
  describe?(input: Input, output: Output | undefined): string;
}

export interface Verdict<Input, Output> {
  /** Unknown: the search was longer than stepsMax. */
  readonly verdict: "linearizable" | "violation" | "unknown";
  readonly partition: string;
  /** Of a violation: the longest sequence that fits, and the operations of which one had to come next. */
  readonly fits: readonly Operation<Input, Output>[];
  readonly stuck: readonly Operation<Input, Output>[];
  readonly steps: number;
}

export interface CheckOptions {
  /** Operations tried in all partitions together before the verdict is unknown. Default 10,000,000. */
  readonly stepsMax?: number;
}

const STEPS_MAX = 10_000_000;
const BITS = 16;

/** The first partition that is a violation, or unknown; else linearizable. */
export function checkLinearizability<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  { stepsMax = STEPS_MAX }: CheckOptions = {},
): Verdict<Input, Output> {
  let steps = 0;
  let unknown: Verdict<Input, Output> | undefined;
  for (const [partition, operations] of partitions(history, model)) {
    const verdict = new Search(operations, model, stepsMax - steps).run(partition);
    steps += verdict.steps;
    if (verdict.verdict === "violation") return { ...verdict, steps };
    if (verdict.verdict === "unknown") unknown ??= { ...verdict, steps };
  }
  return unknown ?? { verdict: "linearizable", partition: "", fits: [], stuck: [], steps };
}

/** What a person reads of a verdict. */
export function describeVerdict<State, Input, Output>(
  { verdict, partition, fits, stuck, steps }: Verdict<Input, Output>,
  model: Model<State, Input, Output>,
): string {
  if (verdict === "linearizable") return `linearizable (${steps} steps)`;
  if (verdict === "unknown") return `unknown: not decided after ${steps} steps`;
  const show = ({ input, output, calledAt, returnedAt, by }: Operation<Input, Output>) =>
    `  ${by === undefined ? "" : `${by}: `}${model.describe?.(input, output) ?? `${JSON.stringify(input)} -> ${JSON.stringify(output)}`} [${calledAt}, ${Number.isFinite(returnedAt) ? returnedAt : "never"}]`;
  return [
    `not linearizable${partition === "" ? "" : ` (${partition})`}: after`,
    ...fits.map(show),
    "none of these could come next:",
    ...stuck.map(show),
  ].join("\n");
}

function partitions<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  { partition }: Model<State, Input, Output>,
): ReadonlyMap<string, readonly Operation<Input, Output>[]> {
  const of = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const name = partition?.(operation.input) ?? "";
    const list = of.get(name);
    if (list === undefined) of.set(name, [operation]);
    else list.push(operation);
  }
  return of;
}

/** A call or a return, in a list from which operations are lifted and into which they are put back. */
interface Entry {
  readonly operation: number;
  /** A call's return. */
  readonly end: Entry | undefined;
  before: Entry | undefined;
  after: Entry | undefined;
}

class Search<State, Input, Output> {
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #model: Model<State, Input, Output>;
  readonly #stepsMax: number;
  readonly #head: Entry;
  readonly #done: Uint16Array;
  readonly #seen = new Set<string>();
  readonly #taken: { readonly call: Entry; readonly state: State }[] = [];
  #longest: readonly number[] = [];
  #stuck: readonly number[] = [];

  constructor(
    operations: readonly Operation<Input, Output>[],
    model: Model<State, Input, Output>,
    stepsMax: number,
  ) {
    this.#operations = operations;
    this.#model = model;
    this.#stepsMax = stepsMax;
    this.#head = listOf(operations);
    this.#done = new Uint16Array(Math.ceil(operations.length / BITS));
  }

  run(partition: string): Verdict<Input, Output> {
    let state = this.#model.initial;
    let steps = 0;
    let entry = this.#head.after;
    while (entry !== undefined) {
      if (entry.end !== undefined) {
        if (steps >= this.#stepsMax) return this.#verdict("unknown", partition, steps);
        steps += 1;
        const { input, output } = this.#operations[entry.operation] as Operation<Input, Output>;
        const next = this.#model.step(state, input, output);
        if (next !== undefined && this.#isNew(entry.operation, next)) {
          this.#taken.push({ call: entry, state });
          state = next;
          lift(entry);
          entry = this.#head.after;
        } else entry = entry.after;
        continue;
      }
      // A return: its operation had to come before, and none that could come fits.
      this.#remember();
      const last = this.#taken.pop();
      if (last === undefined) return this.#verdict("violation", partition, steps);
      this.#flip(last.call.operation);
      state = last.state;
      unlift(last.call);
      entry = last.call.after;
    }
    return this.#verdict("linearizable", partition, steps);
  }

  #verdict(
    verdict: Verdict<Input, Output>["verdict"],
    partition: string,
    steps: number,
  ): Verdict<Input, Output> {
    const named = (list: readonly number[]) =>
      list.map((index) => this.#operations[index] as Operation<Input, Output>);
    return { verdict, partition, fits: named(this.#longest), stuck: named(this.#stuck), steps };
  }

  /** Whether these operations with that state are reached for the first time; if so the operation counts as done. */
  #isNew(operation: number, state: State): boolean {
    this.#flip(operation);
    const key = `${String.fromCharCode(...this.#done)} ${this.#model.key(state)}`;
    if (this.#seen.has(key)) {
      this.#flip(operation);
      return false;
    }
    this.#seen.add(key);
    return true;
  }

  #flip(operation: number): void {
    const at = Math.floor(operation / BITS);
    this.#done[at] = (this.#done[at] ?? 0) ^ (1 << (operation % BITS));
  }

  #remember(): void {
    if (
      this.#taken.length < this.#longest.length ||
      (this.#stuck.length > 0 && this.#taken.length === this.#longest.length)
    )
      return;
    this.#longest = this.#taken.map(({ call }) => call.operation);
    const stuck: number[] = [];
    for (let entry = this.#head.after; entry?.end !== undefined; entry = entry.after)
      stuck.push(entry.operation);
    this.#stuck = stuck;
  }
}

/** Calls and returns by time; a call before a return at the same time, since whoever reads one clock cannot tell them apart. What nobody knows the end of has none. */
function listOf(operations: readonly Operation<unknown, unknown>[]): Entry {
  const head: Entry = { operation: -1, end: undefined, before: undefined, after: undefined };
  const events = operations.flatMap(({ calledAt, returnedAt, output }, operation) => {
    const end: Entry = { operation, end: undefined, before: undefined, after: undefined };
    const call: Entry = { operation, end, before: undefined, after: undefined };
    return [
      { at: calledAt, isCall: true, entry: call },
      { at: output === undefined ? Number.POSITIVE_INFINITY : returnedAt, isCall: false, entry: end },
    ];
  });
  events.sort((a, b) => (a.at === b.at ? Number(b.isCall) - Number(a.isCall) : a.at < b.at ? -1 : 1));
  let last = head;
  for (const { entry } of events) {
    last.after = entry;
    entry.before = last;
    last = entry;
  }
  return head;
}

function lift(call: Entry): void {
  take(call);
  take(call.end as Entry);
}
function unlift(call: Entry): void {
  put(call.end as Entry);
  put(call);
}
function take(entry: Entry): void {
  (entry.before as Entry).after = entry.after;
  if (entry.after !== undefined) entry.after.before = entry.before;
}
function put(entry: Entry): void {
  (entry.before as Entry).after = entry;
  if (entry.after !== undefined) entry.after.before = entry;
}
