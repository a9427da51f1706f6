/**
 * Every interleaving of a few threads that call a module's functions, by depth first over the choices: which thread makes its next access to shared memory, and which of the values that weak memory allows a load
 * reads. States that were met before are not searched again. What a thread does between such accesses is its own and never divided.
 *
 * A cell is shared when two threads touch it and one of them writes. The search begins with none, and begins anew when it meets one that it had not taken for shared; likewise with plain loads that race.
 */
import type { Value } from "./arithmetic.ts";
import { type DecodedModule, decode } from "./decode.ts";
import { type Access, Machine } from "./machine.ts";
import { type Layout, Memory } from "./memory.ts";

export type Step =
  | { readonly call: string; readonly args: readonly Value[] }
  /** As Atomics.wait: sleeps while the word is the one expected, until somebody notifies; what it gives means nothing. */
  | { readonly wait: number; readonly expected: number };
/** A thread's steps, or what the next one is after the results so far. */
export type Program = readonly Step[] | ((results: readonly Value[]) => Step | undefined);

/** A call that was made; times count accesses, so they have gaps and no ties. */
export interface Call {
  readonly thread: number;
  readonly step: Step;
  readonly result: Value | undefined;
  readonly calledAt: number;
  /** Infinity when it never returned: the thread was parked. */
  readonly returnedAt: number;
}

export interface Outcome {
  /** Of each thread, what its steps gave. */
  readonly results: readonly (readonly Value[])[];
  /** In the order in which they began; only with `history`. */
  readonly calls: readonly Call[];
  /** A word, when all is over. */
  word(address: number): number;
  /** A call afterwards, by one thread alone. */
  call(name: string, ...args: Value[]): Value | undefined;
}

export interface Search {
  readonly wasm: Uint8Array;
  /** Calls before the threads begin, on memory that is zero. */
  readonly setup?: (
    call: (name: string, ...args: Value[]) => Value | undefined,
    write: (address: number, word: number) => void,
  ) => void;
  readonly threads: readonly Program[];
  /** Text of what is wrong at the end of an execution. */
  readonly check: (outcome: Outcome) => string | undefined;
  /** Tells calls apart by what was over before each began, so that `check` can judge their order. */
  readonly history?: boolean;
  /** A thread that stops for ever before its access number `at` (from 0). */
  readonly park?: { readonly thread: number; readonly at: number };
  readonly isSequential?: boolean;
  readonly memoryBytes?: number;
  /** More is an error. Default 2,000,000. */
  readonly statesMax?: number;
}

export interface Found {
  readonly states: number;
  /** Different ends of executions. */
  readonly ends: number;
  /** The first that was found, with its accesses one a line. */
  readonly violation: { readonly message: string; readonly trace: readonly string[] } | undefined;
  /** Most accesses that a thread made, for each. */
  readonly accesses: readonly number[];
}

const STATES_MAX = 2_000_000;
const MEMORY_BYTES = 8192;

export function explore(search: Search): Found {
  const module = decode(search.wasm);
  const initial = setUp(module, search);
  const shared = new Set<number>();
  let hasRaces = false;
  while (true) {
    const explorer: Explorer = new Explorer(module, search, initial, { cells: [...shared], hasRaces });
    const found = explorer.run();
    const isNew = explorer.discovered.size > 0 || (explorer.hasRaced && !hasRaces);
    if (!isNew) return found;
    for (const cell of explorer.discovered) shared.add(cell);
    hasRaces ||= explorer.hasRaced;
  }
}

function setUp(module: DecodedModule, { setup, memoryBytes = MEMORY_BYTES }: Search): Int32Array {
  let words = new Int32Array(memoryBytes >>> 2);
  setup?.(
    (name, ...args) => {
      const alone = new Alone(module, words);
      const result = alone.call(name, args);
      words = alone.memory.words() as Int32Array<ArrayBuffer>;
      return result;
    },
    (address, word) => {
      words[address >>> 2] = word;
    },
  );
  return words;
}

/** One thread on memory of its own. */
class Alone {
  readonly #module: DecodedModule;
  readonly memory: Memory;
  constructor(module: DecodedModule, words: Int32Array) {
    this.#module = module;
    this.memory = new Memory({ initial: words, shared: new Map(), isSequential: true, hasRaces: false }, 1);
  }
  call(name: string, args: readonly Value[]): Value | undefined {
    const machine = new Machine(this.#module);
    machine.start(name, args);
    for (let access = machine.next(); access !== undefined; access = machine.next()) {
      const isMemory = access.kind !== "notify" && access.kind !== "wait" && access.kind !== "yield";
      machine.resume(access, isMemory ? this.memory.perform(0, access) : 0);
    }
    return machine.result;
  }
}

interface Thread {
  readonly machine: Machine;
  readonly results: readonly Value[];
  readonly step: Step | undefined;
  /** The access that it stands before. */
  readonly access: Access | undefined;
  /** Address that it sleeps on. */
  readonly sleepsOn: number | undefined;
  /** Until another thread writes. */
  readonly hasYielded: boolean;
  /** Whether another thread has written since this one's last access that was no yield: then a yield does not stop it. */
  readonly isBehind: boolean;
  readonly accesses: number;
  readonly isParked: boolean;
  /** Whether the step under way has made an access. */
  readonly hasBegun: boolean;
  /** Of each step begun: how many steps of each thread were over then. */
  readonly before: readonly string[];
}

interface State {
  readonly threads: readonly Thread[];
  readonly memory: Memory;
  readonly from: State | undefined;
  /** What led here. */
  readonly did:
    | {
        readonly thread: number;
        readonly step: Step | undefined;
        readonly where: string;
        readonly access: Access;
        readonly value: Value;
      }
    | undefined;
}

class Explorer {
  readonly discovered = new Set<number>();
  /** Whether a plain load read what its thread had not been told of. */
  hasRaced = false;
  readonly #module: DecodedModule;
  readonly #search: Search;
  readonly #layout: Layout;
  readonly #programs: readonly ((results: readonly Value[]) => Step | undefined)[];
  readonly #seen = new Set<string>();
  readonly #accesses: number[];
  readonly #hasYields: boolean;
  /** Of cells that are not taken for shared: which threads touched and which wrote them, a bit each. */
  readonly #touched = new Map<number, number>();
  readonly #writers = new Map<number, number>();
  #ends = 0;
  #violation: Found["violation"];

  constructor(
    module: DecodedModule,
    search: Search,
    initial: Int32Array,
    { cells, hasRaces }: { readonly cells: readonly number[]; readonly hasRaces: boolean },
  ) {
    this.#module = module;
    this.#search = search;
    this.#layout = {
      initial,
      shared: new Map(cells.map((cell, index) => [cell, index])),
      hasRaces,
      isSequential: search.isSequential ?? false,
    };
    this.#programs = search.threads.map((program) =>
      typeof program === "function" ? program : (results: readonly Value[]) => program[results.length],
    );
    this.#hasYields = module.imports.some(({ name }) => name.endsWith(".yield"));
    this.#accesses = search.threads.map(() => 0);
  }

  run(): Found {
    const memory = new Memory(this.#layout, this.#programs.length);
    const threads = this.#programs.map((_, index) =>
      this.#advance(index, memory, {
        machine: new Machine(this.#module),
        results: [],
        before: [],
        accesses: 0,
      }),
    );
    const stack: State[] = [{ threads, memory, from: undefined, did: undefined }];
    const max = this.#search.statesMax ?? STATES_MAX;
    for (let state = stack.pop(); state !== undefined && this.#violation === undefined; state = stack.pop()) {
      const running = runningOf(state);
      state.memory.collect(running);
      const key = this.#key(state, running);
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      if (this.#seen.size > max)
        throw new Error(`more than ${max} states; make the case smaller, or statesMax larger`);
      const able = running.filter((thread) => isAble(state.threads[thread] as Thread));
      if (able.length === 0) this.#end(state);
      for (const thread of able) {
        const { access } = state.threads[thread] as Thread;
        const ways = state.memory.alternatives(thread, access as Access);
        for (let way = 0; way < ways; way += 1) stack.push(this.#take(state, thread, way));
      }
      // What is found with cells that were wrongly taken for one thread's own is found again.
      if (
        (this.discovered.size > 0 || (this.hasRaced && !this.#layout.hasRaces)) &&
        this.#seen.size % 1024 === 0
      )
        break;
    }
    return {
      states: this.#seen.size,
      ends: this.#ends,
      violation: this.#violation,
      accesses: this.#accesses,
    };
  }

  #key({ threads, memory }: State, running: readonly number[]): string {
    const own = threads.map(
      ({ machine, results, accesses, sleepsOn, hasYielded, isBehind, before, isParked, hasBegun }, index) =>
        [
          machine.key(),
          results.join(),
          sleepsOn ?? "",
          hasYielded ? 1 : isBehind ? 2 : 0,
          isParked ? 1 : 0,
          hasBegun ? 1 : 0,
          before.join("."),
          // On these hangs where it will be parked.
          this.#search.park?.thread === index ? accesses : "",
        ].join("!"),
    );
    return `${own.join("#")}#${memory.key(running)}`;
  }

  /** Runs what is the thread's own until it stands before an access that others may see. */
  #advance(
    index: number,
    memory: Memory,
    { machine, results, before, accesses }: Pick<Thread, "machine" | "results" | "before" | "accesses">,
    hasBegun = false,
    current?: Step,
  ): Thread {
    const done: Value[] = [...results];
    let step = current;
    let begun = hasBegun;
    const begins: readonly string[] = before;
    const thread = (access: Access | undefined): Thread => {
      const isParked =
        access !== undefined && this.#search.park?.thread === index && this.#search.park.at === accesses;
      return {
        machine,
        results: done,
        step,
        access,
        sleepsOn: undefined,
        hasYielded: false,
        isBehind: false,
        accesses,
        isParked,
        hasBegun: begun,
        before: begins,
      };
    };
    while (true) {
      if (step === undefined) {
        step = this.#programs[index]?.(done);
        begun = false;
        if (step === undefined) return thread(undefined);
        if ("wait" in step) {
          return thread({
            kind: "wait",
            address: step.wait,
            size: 4,
            isAtomic: true,
            isWide: false,
            isSigned: false,
            value: 0,
            expected: step.expected,
            change: 0,
          });
        }
        machine.start(step.call, step.args);
      }
      const access = machine.next();
      if (access === undefined) {
        done.push(machine.result ?? 0);
        step = undefined;
        continue;
      }
      if (memory.isShared(access)) return thread(access);
      this.#note(index, access);
      machine.resume(access, memory.perform(index, access));
    }
  }

  #note(thread: number, { address, size, kind }: Access): void {
    for (let cell = address >>> 2; cell <= (address + size - 1) >>> 2; cell += 1) {
      if (this.#layout.shared.has(cell)) continue;
      const touched = (this.#touched.get(cell) ?? 0) | (1 << thread);
      this.#touched.set(cell, touched);
      if (kind !== "load") this.#writers.set(cell, (this.#writers.get(cell) ?? 0) | (1 << thread));
      if ((touched & (touched - 1)) !== 0 && this.#writers.get(cell) !== undefined) this.discovered.add(cell);
    }
  }

  /** The state after a thread's access. */
  #take(state: State, index: number, way: number): State {
    const thread = state.threads[index] as Thread;
    const access = thread.access as Access;
    const memory = state.memory.clone();
    const threads = state.threads.slice();
    const accesses = thread.accesses + 1;
    this.#accesses[index] = Math.max(this.#accesses[index] ?? 0, accesses);
    let value: Value = 0;
    let sleepsOn: number | undefined;
    if (access.kind === "notify") value = wake(threads, access);
    else if (access.kind === "wait") {
      const word = memory.perform(index, { ...access, kind: "load" });
      if (word === (access.expected as number)) sleepsOn = access.address;
      else value = 1;
    } else if (access.kind !== "yield") value = memory.perform(index, access, way);
    if (access.kind !== "notify" && access.kind !== "wait" && access.kind !== "yield")
      this.#note(index, access);
    this.hasRaced ||= memory.hasRaced;
    const before =
      this.#search.history === true && !thread.hasBegun
        ? [...thread.before, threads.map(({ results }) => results.length).join("-")]
        : thread.before;
    const did = { thread: index, step: thread.step, where: thread.machine.where, access, value };
    if (this.#hasYields && isWrite(access, value)) {
      threads.forEach((other, at) => {
        if (at !== index) threads[at] = { ...other, hasYielded: false, isBehind: true };
      });
    }
    const machine = thread.machine.clone();
    if (sleepsOn !== undefined) {
      threads[index] = { ...thread, accesses, before, hasBegun: true, sleepsOn };
      return { threads, memory, from: state, did };
    }
    const isStepWait = thread.step !== undefined && "wait" in thread.step;
    const results = isStepWait ? [...thread.results, value] : thread.results;
    if (!isStepWait) machine.resume(access, value);
    const next = this.#advance(
      index,
      memory,
      { machine, results, before, accesses },
      true,
      isStepWait ? undefined : thread.step,
    );
    threads[index] = access.kind === "yield" ? { ...next, hasYielded: !thread.isBehind } : next;
    return { threads, memory, from: state, did };
  }

  #end(state: State): void {
    this.#ends += 1;
    const stuck = state.threads.flatMap((thread, index) => {
      if (thread.isParked || thread.access === undefined) return [];
      return [`thread ${index} ${thread.sleepsOn === undefined ? "spins" : `sleeps on ${thread.sleepsOn}`}`];
    });
    if (stuck.length > 0) {
      const kind = stuck.some((text) => text.includes("sleeps")) ? "nobody wakes" : "nobody goes on";
      this.#violate(`${kind}: ${stuck.join(", ")}`, state);
      return;
    }
    const words = state.memory.words();
    let after = words;
    const message = this.#search.check({
      results: state.threads.map(({ results }) => results),
      calls: this.#search.history === true ? callsOf(state) : [],
      word: (address) => after[address >>> 2] ?? 0,
      call: (name, ...args) => {
        const alone = new Alone(this.#module, after);
        const result = alone.call(name, args);
        after = alone.memory.words();
        return result;
      },
    });
    if (message !== undefined) this.#violate(message, state);
  }

  #violate(message: string, state: State): void {
    const trace: string[] = [];
    for (let one: State | undefined = state; one?.did !== undefined; one = one.from) {
      const { thread, where, access, value, step } = one.did;
      const name = where === "" ? "wait" : where;
      const args = step !== undefined && "call" in step ? `(${step.args.join(", ")})` : "";
      trace.unshift(`thread ${thread} ${name}${args}: ${shown(access, value)}`);
    }
    this.#violation = { message, trace };
  }
}

function isWrite({ kind, expected }: Access, old: Value): boolean {
  return kind === "store" || kind === "rmw" || (kind === "compare-exchange" && old === expected);
}

function isAble({ access, sleepsOn, hasYielded, isParked }: Thread): boolean {
  return access !== undefined && sleepsOn === undefined && !hasYielded && !isParked;
}

/** Threads that may still read memory. */
function runningOf({ threads }: State): readonly number[] {
  return threads.flatMap(({ access, isParked }, index) => (access === undefined || isParked ? [] : [index]));
}

/** Wakes sleepers in the order of their numbers. How many. */
function wake(threads: Thread[], { address, value }: Access): number {
  const most = (value as number) >>> 0;
  let count = 0;
  threads.forEach((thread, index) => {
    if (thread.sleepsOn !== address || count >= most) return;
    count += 1;
    // Back before the program's next step: the wait gave 0.
    const isStep = thread.step !== undefined && "wait" in thread.step;
    if (!isStep) throw new Error("a wait inside a function is not known here");
    threads[index] = {
      ...thread,
      sleepsOn: undefined,
      access: { ...(thread.access as Access), expected: Number.NaN },
    };
  });
  return count;
}

function shown({ kind, address, size, isAtomic, value: stored, expected }: Access, value: Value): string {
  const name = `${isAtomic ? "atomic " : ""}${kind} ${size * 8} bits at ${address}`;
  if (kind === "load") return `${name} -> ${value}`;
  if (kind === "store") return `${name} <- ${stored}`;
  if (kind === "compare-exchange") return `${name} ${expected} to ${stored}: was ${value}`;
  return `${name} ${stored} -> ${value}`;
}

/** What was called in the execution that led to the state. */
function callsOf(state: State): readonly Call[] {
  const path: State[] = [];
  for (let one: State | undefined = state; one !== undefined; one = one.from) path.unshift(one);
  const calls: { thread: number; step: Step; index: number; calledAt: number; returnedAt: number }[] = [];
  const open = new Map<number, (typeof calls)[number]>();
  path.forEach((one, at) => {
    if (one.did === undefined) return;
    const { thread, step } = one.did;
    const earlier = path[at - 1] as State;
    const index = (earlier.threads[thread] as Thread).results.length;
    let call = open.get(thread);
    if (call === undefined || call.index !== index) {
      call = { thread, step: step as Step, index, calledAt: 2 * at, returnedAt: Number.POSITIVE_INFINITY };
      calls.push(call);
      open.set(thread, call);
    }
    if ((one.threads[thread] as Thread).results.length > index) call.returnedAt = 2 * at + 1;
  });
  return calls.map(({ thread, step, index, calledAt, returnedAt }) => ({
    thread,
    step,
    result: state.threads[thread]?.results[index],
    calledAt,
    returnedAt,
  }));
}
