/** A thread that runs worlds: seeds come in, and for each a report goes out, with its last events where something was violated. */
import { parentPort, workerData } from "node:worker_threads";
import { LastEvents } from "./last-events.ts";
import { type WorldJob, worldOf } from "./world-job.ts";

const run = worldOf(workerData as WorldJob);

parentPort?.on("message", async (seed: number) => {
  const events = new LastEvents();
  const report = await run(seed, (atMs, what) => events.add(atMs, what));
  parentPort?.postMessage({ report, events: report.violation === undefined ? [] : events.lines });
});
