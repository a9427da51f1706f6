/**
 * The load generator's process. It reads jobs as JSON lines and answers each with a "result"; it stays alive between them, so
 * that its code is as warm for the first side of a round as for the last.
 */
import { createInterface } from "node:readline";
import { systemClock } from "../host/io/clock.ts";
import { type Counting, LoadDevice } from "./load-device.ts";

export interface LoadJob {
  readonly port: number;
  readonly site: string;
  readonly devices: number;
  readonly messagesPerDevice: number;
  readonly window: number;
  readonly counting: Counting;
  readonly boot: number;
}

export interface LoadResult {
  readonly type: "result";
  readonly messages: number;
  readonly startedWallMs: number;
  readonly elapsedMs: number;
  /** Processor time of this process meanwhile. */
  readonly cpuMs: number;
  readonly resent: number;
  readonly pubacks: number;
  readonly checksum: number;
}

const clock = systemClock();
/** Connections opened at a time. */
const CONNECT_BATCH = 50;

async function run(job: LoadJob): Promise<LoadResult> {
  const { devices: count, messagesPerDevice: messages } = job;
  const done = Promise.withResolvers<void>();
  let open = count;
  const devices = Array.from(
    { length: count },
    (_, index) =>
      new LoadDevice({
        ...job,
        id: `load-${index}`,
        messages,
        onDone: () => {
          open -= 1;
          if (open === 0) done.resolve();
        },
        onFailed: done.reject,
      }),
  );
  for (let at = 0; at < count; at += CONNECT_BATCH) {
    const batch = devices.slice(at, at + CONNECT_BATCH).map((device) => device.open());
    await Promise.race([Promise.all(batch), done.promise]);
  }
  const startedWallMs = clock.wallMs();
  const startedMs = clock.monotonicMs();
  const cpu = process.cpuUsage();
  for (const device of devices) device.start();
  await done.promise;
  const elapsedMs = clock.monotonicMs() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  for (const device of devices) device.close();
  const sum = (of: (device: LoadDevice) => number): number =>
    devices.reduce((total, device) => total + of(device), 0);
  return {
    type: "result",
    messages: count * messages,
    startedWallMs,
    elapsedMs,
    cpuMs: (user + system) / 1000,
    resent: sum((device) => device.resent),
    pubacks: sum((device) => device.pubacks),
    checksum: sum((device) => device.checksum) % 2 ** 32,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as LoadJob;
  const answer = await run(job).catch((error: Error) => ({
    type: "failed",
    message: `${error.message} (port ${job.port}, run ${job.boot})`,
  }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
