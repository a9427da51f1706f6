/** The other thread of bench/lockfree.ts: sends what it is asked for, and says when it is done. */
import { parentPort, workerData } from "node:worker_threads";
import { AT, layoutOf } from "../host/concurrency/schema.ts";
import { attach, type Ring } from "../host/exports/lockfree.ts";
import { fillRecord, Numbers, RECORD } from "./lockfree-sides.ts";

const { loops, spsc, mpmc, records, there, back, capacity, port } = workerData;
const numbers = {
  spsc: new Numbers(loops, spsc, "spsc", capacity),
  batch: new Numbers(loops, spsc, "batch", capacity),
  mpmc: new Numbers(loops, mpmc, "mpmc", capacity),
  rows: new Numbers(loops, mpmc, "rows", capacity),
};
const layout = layoutOf(RECORD);
const producer = attach<Ring<typeof RECORD>>(records).producer();
const pings = attach<Ring<{ n: "u32" }>>(there).consumer();
const pongs = attach<Ring<{ n: "u32" }>>(back).producer();

const JOBS: Readonly<Record<string, (count: number) => void>> = {
  spsc: (count) => numbers.spsc.send(count),
  batch: (count) => numbers.batch.send(count),
  mpmc: (count) => numbers.mpmc.send(count),
  rows: (count) => numbers.rows.send(count),
  postNumbers(count) {
    for (let id = 0; id < count; id += 1) port.postMessage(id);
  },
  records(count) {
    for (let id = 0; id < count; id += 1) producer.pushSync((record) => fillRecord(record, id));
  },
  recordBatches(count) {
    let id = 0;
    while (id < count) {
      id += producer.pushBatch(Math.min(100, count - id), (record, index) => fillRecord(record, id + index));
      if (id < count) producer.waitSync();
    }
  },
  postRecords(count) {
    for (let id = 0; id < count; id += 1) {
      const bytes = new Uint8Array(layout.stride);
      fillRecord(layout.view(bytes.buffer as never), id);
      port.postMessage(bytes);
    }
  },
  postBatches(count) {
    for (let id = 0; id < count; id += 100) {
      const bytes = new Uint8Array(layout.stride * 100);
      const view = layout.view(bytes.buffer as never);
      for (let index = 0; index < 100; index += 1) {
        view[AT] = index * layout.stride;
        fillRecord(view, id + index);
      }
      port.postMessage(bytes, [bytes.buffer]);
    }
  },
  echo(count) {
    for (let done = 0; done < count; done += 1) {
      let n = 0;
      pings.shiftSync((record) => {
        n = record.n;
      });
      pongs.pushSync({ n });
    }
  },
  /** Answers what comes by the port; the job itself is done at once. */
  echoPosts() {},
};

port.on("message", (n: unknown) => port.postMessage(n));
parentPort?.on("message", ({ job, count }) => JOBS[job]?.(count));
parentPort?.postMessage("ready");
