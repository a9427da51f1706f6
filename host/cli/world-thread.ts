/** A thread that runs worlds: seeds come in, and for each a report goes out, with its last events where something was violated, or what kept it from running. */
import { parentPort, workerData } from "node:worker_threads";
import { isTardigradeError } from "../../protocols/error.ts";
import type { ErrorCode } from "../../protocols/table.ts";
import { LastEvents } from "./last-events.ts";
import { type WorldJob, worldOf } from "./world-job.ts";

/** Errors lose their kind on the way between threads. */
export interface ThreadFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

const run = worldOf(workerData as WorldJob);

parentPort?.on("message", async (seed: number) => {
  const events = new LastEvents();
  try {
    const report = await run(seed, (atMs, what) => events.add(atMs, what));
    parentPort?.postMessage({ report, events: report.violation === undefined ? [] : events.lines });
  } catch (error) {
    const code: ErrorCode = isTardigradeError(error) ? error.code : "INTERNAL";
    const { message, stack } = error as Error;
    parentPort?.postMessage({
      failure: { code, message: code === "INTERNAL" ? (stack ?? message) : message },
    });
  }
});
