/** Worker threads that do a job of te./worker.ts. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Handle } from "../../../host/exports/lockfree.ts";

const SCRIPT = new URL("./worker.ts", import.meta.url);

export interface Job {
  readonly job: string;
  readonly handle: Handle;
  readonly from?: number;
  readonly count?: number;
  readonly handles?: Readonly<Record<string, Handle>>;
}

export interface Thread {
  readonly worker: Worker;
  /** What the job answered; rejects with its error. */
  readonly result: Promise<unknown>;
  readonly exit: Promise<unknown>;
}

export function thread(job: Job): Thread {
  const worker = new Worker(SCRIPT, { workerData: job });
  const exit = once(worker, "exit");
  const result = new Promise((resolve, reject) => {
    worker.on("message", (message) => {
      if (typeof message === "object" && "result" in message) resolve(message.result);
    });
    worker.once("error", reject);
    worker.once("exit", () => resolve(undefined));
  });
  return { worker, result, exit };
}
