/** Worlds side by side, each in one of several threads; a world is the same wherever it runs. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { TardigradeError } from "../../protocols/error.ts";
import { codeFile } from "../io/code-file.ts";
import { LastEvents } from "./last-events.ts";
import { type ReportOf, type WorldJob, worldOf } from "./world-job.ts";
import type { ThreadFailure } from "./world-thread.ts";

export interface RanWorld<Report> {
  readonly report: Report;
  /** The last before a violation. */
  readonly events: readonly string[];
}

export interface WorldRunner<Report> {
  /** How many run() calls may be under way. */
  readonly width: number;
  run(seed: number): Promise<RanWorld<Report>>;
  close(): Promise<void>;
}

/** In this thread; `onLine` is told of each event. */
export function inThisThread<Job extends WorldJob>(
  job: Job,
  onLine: (line: string) => void,
): WorldRunner<ReportOf<Job>> {
  const world = worldOf(job);
  return {
    width: 1,
    run: async (seed) => {
      const events = new LastEvents();
      const report = await world(seed, (atMs, what) => onLine(events.add(atMs, what)));
      return { report, events: events.lines };
    },
    close: async () => undefined,
  };
}

/** A thread that ends, or fails outside of a world, fails what it runs, and what it is given afterwards. */
export function inThreads<Job extends WorldJob>(job: Job, width: number): WorldRunner<ReportOf<Job>> {
  type Ran = RanWorld<ReportOf<Job>>;
  const threads = Array.from({ length: width }, () => {
    const worker = new Worker(codeFile("world-thread", import.meta.url), { workerData: job });
    const failed = Promise.withResolvers<never>();
    worker.on("error", failed.reject);
    worker.on("exit", () => failed.reject(new Error("A thread of the worlds has ended.")));
    // Nobody need be waiting for it.
    failed.promise.catch(() => undefined);
    return { worker, failed: failed.promise };
  });
  const free = [...threads];
  return {
    width,
    run: async (seed) => {
      const thread = free.pop();
      if (thread === undefined) throw new Error("more worlds than threads");
      const { worker, failed } = thread;
      worker.postMessage(seed);
      const answer = once(worker, "message") as Promise<[Ran | { readonly failure: ThreadFailure }]>;
      const [ran] = await Promise.race([answer, failed]);
      free.push(thread);
      if (!("failure" in ran)) return ran;
      const { code, message } = ran.failure;
      throw new TardigradeError(code, message, { context: { component: "world", seed } });
    },
    close: async () => {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}
