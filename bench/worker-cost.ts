/** What a thread a board would cost: memory of idle workers, measured in this process, told as bytes a worker. */
import { Worker } from "node:worker_threads";

const WORKERS = 16;

const before = process.memoryUsage().rss;
const workers = Array.from(
  { length: WORKERS },
  () => new Worker("setInterval(() => {}, 1000)", { eval: true }),
);
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("online", resolve))));
const bytes = (process.memoryUsage().rss - before) / WORKERS;
process.stdout.write(`${JSON.stringify({ type: "cost", bytes })}\n`);
await Promise.all(workers.map((worker) => worker.terminate()));
