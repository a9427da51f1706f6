/**
 * The other MQTT broker of `tardi start`: what the gateway forwards to, with a subscriber that counts each reading as often
 * as it comes. It stands for the customer's broker in the cloud.
 */
import { createServer } from "node:net";
import { Aedes } from "aedes";
import { connectAsync } from "mqtt";

export interface Downstream {
  readonly url: string;
  /** Readings that came, each key once, and how many came again. */
  readonly readings: number;
  readonly duplicated: number;
  /** Of `readings`, those of one device. */
  readingsOf(device: string): number;
  close(): Promise<void>;
}

interface Forwarded {
  readonly device: string;
  readonly boot: number;
  readonly seq: number;
  readonly readings?: readonly unknown[];
}

export async function openDownstream(site: string): Promise<Downstream> {
  const broker = new Aedes();
  await (broker as unknown as { listen?(): Promise<void> }).listen?.();
  const server = createServer((socket) => {
    broker.handle(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const url = `mqtt://127.0.0.1:${port}`;
  const subscriber = await connectAsync(url, { clientId: "downstream-counter" });
  await subscriber.subscribeAsync(`tardi/${site}/+/telemetry`, { qos: 2 });
  const seen = new Map<string, number>();
  const byDevice = new Map<string, number>();
  let readings = 0;
  let duplicated = 0;
  subscriber.on("message", (_topic, payload) => {
    const message = JSON.parse(payload.toString()) as Forwarded;
    const count = message.readings?.length ?? 0;
    if (count === 0) return;
    const key = `${message.device}/${message.boot}/${message.seq}`;
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    if (times === 0) {
      readings += count;
      byDevice.set(message.device, (byDevice.get(message.device) ?? 0) + count);
    } else duplicated += count;
  });
  return {
    url,
    get readings() {
      return readings;
    },
    get duplicated() {
      return duplicated;
    },
    readingsOf: (device) => byDevice.get(device) ?? 0,
    async close() {
      await subscriber.endAsync(true);
      await new Promise<void>((resolve) => broker.close(() => server.close(() => resolve())));
    },
  };
}
