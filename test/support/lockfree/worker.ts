/** What threads do in the tests of tardigrade/lockfree: a job and a handle, and an answer. */
import { parentPort, threadId, workerData } from "node:worker_threads";
import {
  attach,
  type BytesRing,
  type Deque,
  type Handle,
  type Latest,
  type Pool,
  type Queue,
  type Ring,
  type SharedMap,
  type Stack,
} from "../../../host/exports/lockfree.ts";
import { seededRandom } from "../../../host/world/random.ts";
import type { PAIR, WIDE } from "./schemas.ts";

type Pair = typeof PAIR;
const { job, handle, handles, from = 0, count = 0 } = workerData;

const JOBS: Readonly<Record<string, () => unknown>> = {
  async produce() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) await producer.push({ id, check: id * 3 });
    producer.close();
  },
  produceSync() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) producer.pushSync({ id, check: id * 3 });
    producer.close();
  },
  /** Never gives its end back. */
  produceAndDie() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) producer.tryPush({ id, check: id * 3 });
    process.exit(0);
  },
  async consumeSome() {
    let seen = 0;
    const consumer = attach<Ring<Pair>>(handle).consumer();
    while (seen < count) consumer.shiftSync(() => (seen += 1));
    consumer.close();
    return seen;
  },
  async bytes() {
    const producer = attach<BytesRing>(handle).producer();
    for (let id = 0; id < count; id += 1) await producer.push(new Uint8Array(id % 200).fill(id));
    producer.close();
  },
  async queuePush() {
    const queue = attach<Queue<Pair>>(handle);
    for (let id = from; id < from + count; id += 1) await queue.push({ id, check: id * 3 });
  },
  async queueShift() {
    const ids: number[] = [];
    for await (const { id, check } of attach<Queue<Pair>>(handle)) {
      if (check !== id * 3) throw new Error(`a torn record: ${id} ${check}`);
      ids.push(id);
    }
    return ids;
  },
  write() {
    const writer = attach<Latest<typeof WIDE>>(handle).writer();
    for (let value = 1; value <= count; value += 1) {
      writer.write({ a: value, b: value, c: value, d: value });
    }
  },
  add() {
    const map = attach<SharedMap>(handle);
    let added = 0;
    for (let key = 0; key < count; key += 1) if (map.add(key, threadId)) added += 1;
    return added;
  },
  /** Counts up under a key by compare-and-set. */
  countUp() {
    const map = attach<SharedMap>(handle);
    for (let done = 0; done < count; ) {
      const value = map.get(from) ?? 0;
      if (map.compareAndSet(from, value, value + 1)) done += 1;
    }
  },
  stack() {
    const stack = attach<Stack<Pair>>(handle);
    let balance = 0;
    for (let id = 0; id < count; id += 1) {
      if (stack.tryPush({ id, check: id * 3 })) balance += 1;
      stack.tryPop((record) => {
        if (record.check !== record.id * 3) throw new Error("a torn record");
        balance -= 1;
      });
    }
    return balance;
  },
  /** Writes its own number into each block that it has, and nobody else may. */
  blocks() {
    const pool = attach<Pool<Pair>>(handle);
    for (let round = 0; round < count; round += 1) {
      const block = pool.allocate(threadId + 1);
      if (block === undefined) continue;
      pool.view(block).id = threadId;
      if (pool.view(block).id !== threadId) throw new Error("two threads have a block");
      pool.free(block);
    }
  },
  allocateAndDie() {
    const pool = attach<Pool<Pair>>(handle);
    for (let round = 0; round < count; round += 1) pool.allocate(from);
    process.exit(0);
  },
  steal() {
    const deque = attach<Deque>(handle);
    const taken: number[] = [];
    while (true) {
      const value = deque.stealSync();
      if (value === undefined) return taken;
      taken.push(value);
    }
  },
};

/** Everything at once, in turns, until it is ended. */
function everything(): never {
  const producer = attach<Ring<Pair>>(handles.ring).producer();
  const bytes = attach<BytesRing>(handles.bytes).producer();
  const writer = attach<Latest<typeof WIDE>>(handles.latest).writer();
  const [queue, stack, pool] = [
    attach<Queue<Pair>>(handles.queue),
    attach<Stack<Pair>>(handles.stack),
    attach<Pool<Pair>>(handles.pool),
  ];
  const owner = attach<Deque>(handles.deque).owner();
  const map = attach<SharedMap>(handles.map);
  // Where the last thread ended is what it published, read or not.
  let id = from + attach<Ring<Pair>>(handles.ring).count;
  parentPort?.postMessage("begun");
  for (let turn = 0; ; turn += 1) {
    if (producer.tryPush({ id, check: id * 3 })) id += 1;
    bytes.tryPush(new Uint8Array(1 + ((turn & 0xff) % 50)).fill(turn & 0xff));
    writer.write({ a: turn, b: turn, c: turn, d: turn });
    queue.tryPush({ id: turn, check: turn * 3 });
    if (turn % 3 === 0) queue.tryShift(() => {});
    stack.tryPush({ id: turn, check: turn * 3 });
    if (turn % 2 === 0) stack.tryPop(() => {});
    const block = pool.allocate(1);
    if (block !== undefined && turn % 2 === 0) pool.free(block);
    if (turn % 16 === 0) for (let one = 0; one < 8; one += 1) pool.reclaim(1);
    owner.tryPush(turn);
    if (turn % 2 === 0) owner.take();
    const key = 10 + ((count * 331 + turn) % 50_000);
    map.set(key, turn);
    if (turn % 4 === 0) map.delete(key);
  }
}

/** Operations of one thread at random, with the times of a clock that all share. */
function history({
  job: structure,
  handle: where,
  clock,
  by,
  operations,
  threads,
  seed,
}: HistoryJob): unknown[] {
  const random = seededRandom(seed);
  const below = (bound: number) => random.u32() % bound;
  const done: unknown[] = [];
  const timed = <Output>(input: unknown, work: () => Output) => {
    const calledAt = Atomics.add(clock, 0, 1);
    // Gives the processor to the others now and then, so that calls overlap where there are fewer of them than threads.
    if (below(4) === 0) Atomics.wait(clock, 2, 0, 0.02);
    const output = work();
    done.push({ input, output, calledAt, returnedAt: Atomics.add(clock, 0, 1), by });
  };
  const operation = operationsOf(structure, where, by);
  // All together.
  Atomics.add(clock, 1, 1);
  while (Atomics.load(clock, 1) % threads !== 0 && Atomics.load(clock, 0) === 0);
  for (let index = 0; index < operations; index += 1) operation(below, by * 1000 + index, timed);
  return done;
}

interface HistoryJob {
  readonly job: string;
  readonly handle: Handle;
  readonly clock: Int32Array;
  readonly by: number;
  readonly threads: number;
  readonly operations: number;
  readonly seed: number;
}
type Timed = <Output>(input: unknown, work: () => Output) => void;
type Operate = (below: (bound: number) => number, value: number, timed: Timed) => void;

function operationsOf(structure: string, where: Handle, by: number): Operate {
  if (structure === "map") {
    const map = attach(where as Handle<SharedMap>);
    return (below, value, timed) => {
      const key = below(12);
      const kind = ["set", "get", "add", "delete", "compare-and-set"][below(5)];
      if (kind === "set")
        timed({ kind, key, value }, () => {
          map.set(key, value);
          return true;
        });
      else if (kind === "get") timed({ kind, key }, () => map.get(key) ?? null);
      else if (kind === "add") timed({ kind, key, value }, () => map.add(key, value));
      else if (kind === "delete") timed({ kind, key }, () => map.delete(key) ?? null);
      else {
        const guess = map.get(key) ?? 0;
        timed({ kind, key, from: guess, to: value }, () => map.compareAndSet(key, guess, value));
      }
    };
  }
  if (structure === "deque") {
    const deque = attach(where as Handle<Deque>);
    if (by !== 0) return (_below, _value, timed) => timed({ kind: "steal" }, () => deque.steal() ?? null);
    const owner = deque.owner();
    return (below, value, timed) => {
      if (below(3) === 0) timed({ kind: "take" }, () => owner.take() ?? null);
      else timed({ kind: "push", value }, () => owner.tryPush(value));
    };
  }
  const one =
    structure === "queue" ? attach(where as Handle<Queue<Pair>>) : attach(where as Handle<Stack<Pair>>);
  return (below, value, timed) => {
    if (below(2) === 0)
      timed({ kind: "push", value }, () =>
        untilDecided(one, () => one.tryPush({ id: value, check: value * 3 })),
      );
    else
      timed({ kind: "take" }, () => {
        let got: number | null = null;
        const read = ({ id }: { readonly id: number }) => {
          got = id;
        };
        untilDecided(one, () => ("tryShift" in one ? one.tryShift(read) : one.tryPop(read)));
        return got;
      });
  };
}

/** A queue that is stalled says neither full nor empty. */
function untilDecided(one: object, work: () => boolean): boolean {
  while (true) {
    const isDone = work();
    if (isDone || !("isStalled" in one) || one.isStalled !== true) return isDone;
  }
}

if (job === "histories")
  parentPort?.on("message", (message: HistoryJob) => parentPort?.postMessage(history(message)));
else if (job === "everything") everything();
else parentPort?.postMessage({ result: await JOBS[job]?.() });
