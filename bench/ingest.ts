/**
 * What durability costs. One reading a PUBLISH at QoS 1, from the same generator with the same bytes on the same topics and
 * the same window in flight, to
 *
 * - our whole gateway, counted when the durable acknowledgement has come: the reading is synced to the disk;
 * - aedes alone, the embedded broker under our gateway, with one subscriber that takes everything;
 * - mosquitto with the same subscriber.
 *
 * A broker is counted twice: at the PUBACK to the publisher, and when the subscriber has everything. Neither touches a disk.
 * Broker, generator and subscriber are processes of their own, so that none takes another's event loop.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { encodeMessage } from "../protocols/message.ts";
import { LIMITS } from "../protocols/table.ts";
import { deviceTopic } from "../protocols/topic.ts";
import { Child, ROOT } from "./child.ts";
import { type GatewayProcess, SITE, startGateway } from "./gateway-process.ts";
import { type IngestRound, ingestRows } from "./ingest-rows.ts";
import type { LoadJob, LoadResult } from "./load-generator.ts";
import { readLog } from "./log-content.ts";
import { interleave, type SuiteOptions, scaled, short } from "./measure.ts";
import { mosquittoBinary, mosquittoVersion, startMosquitto } from "./mosquitto.ts";
import { rawSyncRate } from "./raw-sync.ts";
import type { BenchRow } from "./rows.ts";

export interface IngestSuiteOptions extends SuiteOptions {
  /** The tests leave out the peer that is no npm package. */
  readonly mosquitto?: boolean;
  /** For the gateway's node, such as --cpu-prof. */
  readonly nodeArgs?: readonly string[];
}

const DEVICES = 64;
const MESSAGES_PER_DEVICE = 2500;
const WINDOW = LIMITS.MESSAGE_WINDOW_MAX;
const RAW_SYNCS = 300;

interface Side {
  readonly run: (round: number) => Promise<IngestRound>;
  readonly stop: () => Promise<void>;
}

export async function ingestSuite(options: IngestSuiteOptions): Promise<BenchRow[]> {
  const { rounds, scale, folder, say } = options;
  const binary = options.mosquitto === false ? undefined : mosquittoBinary();
  const job = {
    site: SITE,
    devices: scaled(DEVICES, Math.sqrt(scale), 2),
    messagesPerDevice: scaled(MESSAGES_PER_DEVICE, Math.sqrt(scale), 50),
    window: WINDOW,
  };
  const messages = job.devices * job.messagesPerDevice;
  const children: Child[] = [];
  const generator = Child.node("load generator", [join(ROOT, "bench/load-generator.ts")]);
  const stops: (() => Promise<void>)[] = [() => generator.stop()];
  const load = async (more: Pick<LoadJob, "port" | "counting" | "boot">): Promise<LoadResult> => {
    generator.send({ ...job, ...more });
    return (await generator.next("result")) as unknown as LoadResult;
  };
  try {
    const { sides, gateway } = await openSides({ ...options, binary, load, messages, children, stops });
    const syncRates: number[] = [];
    const results = await interleave<IngestRound | undefined>(rounds, {
      ...Object.fromEntries(
        Object.entries(sides).map(([name, side]) => [
          name,
          async (round: number) => {
            const result = await side.run(round);
            say(
              `round ${round}/${rounds} ${name}: ${short(result.acknowledged)}/s acknowledged, ${short(result.received)}/s received, generator ${Math.round(result.generatorCpu * 100)} % of a core`,
            );
            return result;
          },
        ]),
      ),
      disk: (round) => {
        const rate = rawSyncRate(folder, scaled(RAW_SYNCS, scale, 5));
        if (round > 0) syncRates.push(rate);
        return undefined;
      },
    });
    await Promise.all(stops.splice(0).map((stop) => stop()));
    const measured = new Map(
      [...results].map(([name, all]) => [name, all.filter((one) => one !== undefined)]),
    );
    const stored = await storedChecksums(gateway.data);
    const mosquitto = binary === undefined ? undefined : mosquittoVersion(binary);
    return ingestRows({ measured, stored, syncRates, job, mosquitto });
  } catch (error) {
    const obituaries = children.map((child) => child.obituary).filter((text) => text !== undefined);
    throw new Error([...obituaries, (error as Error).message].join("\n"), { cause: error });
  } finally {
    await Promise.all(stops.map((stop) => stop().catch(() => undefined)));
  }
}

/** Starts every side's processes; notes them in `children` and how to stop them in `stops`. */
async function openSides(
  options: IngestSuiteOptions & {
    readonly binary: string | undefined;
    readonly load: Load;
    readonly messages: number;
    readonly children: Child[];
    readonly stops: (() => Promise<void>)[];
  },
): Promise<{ readonly sides: Readonly<Record<string, Side>>; readonly gateway: GatewayProcess }> {
  const { folder, binary, load, messages, children, stops, nodeArgs } = options;
  const sides: Record<string, Side> = {};
  const add = (name: string, child: Child, side: Side): void => {
    children.push(child);
    sides[name] = side;
    stops.push(side.stop);
  };
  const own = join(folder, "ours");
  mkdirSync(own);
  const gateway = await startGateway({ folder: own, ...(nodeArgs === undefined ? {} : { nodeArgs }) });
  add("ours", gateway.child, gatewaySide(gateway, load));
  for (const qos of [1, 0] as const) {
    const child = Child.node("aedes", [join(ROOT, "bench/bare-broker.ts")]);
    stops.push(() => child.stop());
    const { port } = await child.next("ready");
    add(`aedes${qos}`, child, await brokerSide({ child, port: Number(port), qos, load, messages }));
  }
  if (binary !== undefined) {
    const { child, port } = await startMosquitto(join(folder, "mosquitto"), binary);
    stops.push(() => child.stop());
    add("mosquitto", child, await brokerSide({ child, port, qos: 1, load, messages }));
  }
  return { sides, gateway };
}

type Load = (more: Pick<LoadJob, "port" | "counting" | "boot">) => Promise<LoadResult>;

function gatewaySide(gateway: GatewayProcess, load: Load): Side {
  let total = 0;
  return {
    run: async (round) => {
      const before = gateway.child.usage().cpuS;
      const result = await load({ port: gateway.port, counting: "durable", boot: round + 1 });
      total += result.messages;
      const settledWallMs = await gateway.settled(total);
      return roundOf(result, {
        receivedWallMs: settledWallMs,
        cpuS: gateway.child.usage().cpuS - before,
        checksum: result.checksum,
        subscriberCpuMs: 0,
      });
    },
    stop: () => gateway.child.stop(),
  };
}

async function brokerSide(options: {
  readonly child: Child;
  readonly port: number;
  readonly qos: 0 | 1;
  readonly load: Load;
  readonly messages: number;
}): Promise<Side> {
  const { child, port, qos, load, messages } = options;
  const filter = deviceTopic(SITE, "+", "up");
  const subscriber = Child.node("subscriber", [
    join(ROOT, "bench/load-subscriber.ts"),
    `${port}`,
    filter,
    `${qos}`,
  ]);
  await subscriber.next("ready");
  return {
    run: async (round) => {
      subscriber.send({ expect: messages });
      await subscriber.next("armed");
      const before = child.usage().cpuS;
      const [result, received] = await Promise.all([
        load({ port, counting: "puback", boot: round + 1 }),
        subscriber.next("received"),
      ]);
      return roundOf(result, {
        receivedWallMs: Number(received.wallMs),
        cpuS: child.usage().cpuS - before,
        checksum: Number(received.checksum),
        subscriberCpuMs: Number(received.cpuMs),
      });
    },
    stop: () => subscriber.stop(),
  };
}

function roundOf(
  result: LoadResult,
  side: {
    readonly receivedWallMs: number;
    readonly cpuS: number;
    readonly checksum: number;
    readonly subscriberCpuMs: number;
  },
): IngestRound {
  const { messages, elapsedMs, startedWallMs, cpuMs, resent } = result;
  const receivedMs = side.receivedWallMs - startedWallMs;
  return {
    acknowledged: (messages / elapsedMs) * 1000,
    received: (messages / receivedMs) * 1000,
    cpuUs: (side.cpuS * 1e6) / messages,
    sideCpu: (side.cpuS * 1000) / Math.max(elapsedMs, receivedMs),
    generatorCpu: cpuMs / elapsedMs,
    subscriberCpu: side.subscriberCpuMs / receivedMs,
    resent,
    checksum: side.checksum,
  };
}

/** Sum of the CRC-32 of the telemetry that is in the log, by boot, which is the round plus one. */
async function storedChecksums(data: string): Promise<ReadonlyMap<number, number>> {
  const sums = new Map<number, number>();
  await readLog(data, ({ body }) => {
    if (body.type !== "message" || body.message.kind !== "telemetry") return;
    const { boot } = body.message;
    sums.set(boot, ((sums.get(boot) ?? 0) + crc32(encodeMessage(body.message))) >>> 0);
  });
  return sums;
}
