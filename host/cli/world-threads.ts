/** Worlds side by side, each in one of several threads; a world is the same wherever it runs. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { codeFile } from "../io/code-file.ts";
import { LastEvents } from "./last-events.ts";
import { type ReportOf, type WorldJob, worldOf } from "./world-job.ts";

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

export function inThreads<Job extends WorldJob>(job: Job, width: number): WorldRunner<ReportOf<Job>> {
  const threads = Array.from(
    { length: width },
    () => new Worker(codeFile("world-thread", import.meta.url), { workerData: job }),
  );
  const free = [...threads];
  return {
    width,
    run: async (seed) => {
      const thread = free.pop();
      if (thread === undefined) throw new Error("more worlds than threads");
      thread.postMessage(seed);
      // An error of the thread rejects.
      const [ran] = (await once(thread, "message")) as [RanWorld<ReportOf<Job>>];
      free.push(thread);
      return ran;
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}
