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
import { release } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { encodeMessage } from "../protocols/message.ts";
import { LIMITS } from "../protocols/table.ts";
import { deviceTopic } from "../protocols/topic.ts";
import { Child, ROOT } from "./child.ts";
import { type GatewayProcess, SITE, startGateway } from "./gateway-process.ts";
import type { LoadJob, LoadResult } from "./load-generator.ts";
import { readLog } from "./log-content.ts";
import {
  interleave,
  median,
  type SuiteOptions,
  sameChecksum,
  scaled,
  short,
  spread,
  versionOf,
} from "./measure.ts";
import { mosquittoBinary, mosquittoVersion, startMosquitto } from "./mosquitto.ts";
import { rawSyncRate } from "./raw-sync.ts";
import { type BenchRow, benchRow, type Peer } from "./rows.ts";

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
const GOAL = 0.8;

interface Round {
  /** Messages a second by when each was counted. */
  readonly acknowledged: number;
  readonly received: number;
  /** Processor microseconds of the side's own process, a message. */
  readonly cpuUs: number;
  /** Share of one core that the generator took. */
  readonly generatorCpu: number;
  readonly resent: number;
  readonly checksum: number;
}

interface Side {
  readonly run: (round: number) => Promise<Round>;
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
    const sides: Record<string, Side> = {};
    const gatewayFolder = join(folder, "ours");
    mkdirSync(gatewayFolder);
    const gateway = await startGateway({
      folder: gatewayFolder,
      ...(options.nodeArgs === undefined ? {} : { nodeArgs: options.nodeArgs }),
    });
    children.push(gateway.child);
    sides.ours = gatewaySide(gateway, load);
    stops.push(sides.ours.stop);
    for (const qos of [1, 0] as const) {
      const child = Child.node("aedes", [join(ROOT, "bench/bare-broker.ts")]);
      children.push(child);
      stops.push(() => child.stop());
      const { port } = await child.next("ready");
      const side = await brokerSide({ child, port: Number(port), qos, load, messages });
      sides[`aedes${qos}`] = side;
      stops.push(side.stop);
    }
    if (binary !== undefined) {
      const { child, port } = await startMosquitto(join(folder, "mosquitto"), binary);
      children.push(child);
      stops.push(() => child.stop());
      sides.mosquitto = await brokerSide({ child, port, qos: 1, load, messages });
      stops.push(sides.mosquitto.stop);
    }
    const syncRates: number[] = [];
    const results = await interleave<Round | undefined>(rounds, {
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
    return rowsOf({ measured, stored, syncRates, job, binary });
  } catch (error) {
    const obituaries = children.map((child) => child.obituary).filter((text) => text !== undefined);
    throw new Error([...obituaries, (error as Error).message].join("\n"), { cause: error });
  } finally {
    await Promise.all(stops.map((stop) => stop().catch(() => undefined)));
  }
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
      return roundOf(result, settledWallMs, gateway.child.usage().cpuS - before, result.checksum);
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
      const loading = load({ port, counting: "puback", boot: round + 1 });
      const received = await subscriber.next("received");
      const result = await loading;
      return roundOf(result, Number(received.wallMs), child.usage().cpuS - before, Number(received.checksum));
    },
    stop: () => subscriber.stop(),
  };
}

function roundOf(result: LoadResult, receivedWallMs: number, cpuS: number, checksum: number): Round {
  const { messages, elapsedMs, startedWallMs, cpuMs, resent } = result;
  return {
    acknowledged: (messages / elapsedMs) * 1000,
    received: (messages / (receivedWallMs - startedWallMs)) * 1000,
    cpuUs: (cpuS * 1e6) / messages,
    generatorCpu: cpuMs / elapsedMs,
    resent,
    checksum,
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

interface Results {
  readonly measured: ReadonlyMap<string, readonly Round[]>;
  readonly stored: ReadonlyMap<number, number>;
  readonly syncRates: readonly number[];
  readonly job: { readonly devices: number; readonly messagesPerDevice: number; readonly window: number };
  readonly binary: string | undefined;
}

function rowsOf(results: Results): BenchRow[] {
  const { measured, stored, syncRates, job, binary } = results;
  const of = (name: string, figure: (round: Round) => number): readonly number[] =>
    (measured.get(name) ?? []).map(figure);
  const checksum = checkRounds(measured, stored);
  const acknowledged = of("ours", (round) => round.acknowledged);
  const ours = median(acknowledged);
  const syncRate = median(syncRates);
  const setting = `${job.devices} clients, ${job.window} in flight each, ${job.messagesPerDevice} readings a client and round; rounds ours ${spread(acknowledged)}`;
  const brokers: [side: string, Omit<Peer, "value">, what: string][] = [
    ["aedes1", { name: "aedes", version: versionOf("aedes") }, "subscriber QoS 1"],
    ["aedes0", { name: "aedes", version: versionOf("aedes") }, "subscriber QoS 0"],
  ];
  if (binary !== undefined) {
    brokers.push(["mosquitto", { name: "mosquitto", version: mosquittoVersion(binary) }, "subscriber QoS 1"]);
  }
  const rows: BenchRow[] = [];
  for (const [side, peer, what] of brokers) {
    // The goal is set for the bare embedded broker that promises its subscriber as much as we do: at least once.
    const goal = side === "aedes1" ? { goal: GOAL } : {};
    for (const [when, figure] of [
      ["received by its subscriber", (round: Round) => round.received],
      ["PUBACK", (round: Round) => round.acknowledged],
    ] as const) {
      const values = of(side, figure);
      rows.push(
        benchRow({
          claim: `ingest to durable ack / ${side === "mosquitto" ? "mosquitto" : "bare aedes"}, ${what}, ${when}`,
          unit: "msg/s",
          better: "more",
          ours,
          peer: { ...peer, value: median(values) },
          ...goal,
          checksum,
          note: `${setting}; peer counted at ${when}, ${spread(values)}; generator ${share(of(side, (round) => round.generatorCpu))} of a core for the peer, ${share(of("ours", (round) => round.generatorCpu))} for ours`,
        }),
      );
    }
  }
  const aedes = { name: "aedes", version: versionOf("aedes") };
  const resent = of("ours", (round) => round.resent).reduce((sum, count) => sum + count, 0);
  rows.push(
    benchRow({
      claim: "ingest to state and history applied / bare aedes, subscriber QoS 1, received",
      unit: "msg/s",
      better: "more",
      ours: median(of("ours", (round) => round.received)),
      peer: { ...aedes, value: median(of("aedes1", (round) => round.received)) },
      checksum,
      note: `until every reading is in state and history too; ${resent} sent again because a queue was full`,
    }),
    benchRow({
      claim: "processor time a message, all of the gateway's work / bare aedes, subscriber QoS 1",
      unit: "us",
      better: "less",
      ours: median(of("ours", (round) => round.cpuUs)),
      peer: { ...aedes, value: median(of("aedes1", (round) => round.cpuUs)) },
      checksum,
      note: "user and system time of the side's process, all its threads",
    }),
    benchRow({
      claim: "durable readings / raw fdatasync of the same disk, one at a time",
      unit: "1/s",
      better: "more",
      ours,
      peer: { name: "fdatasync", version: release(), value: syncRate },
      checksum,
      note: `4 KiB written in place and synced, rounds ${spread(syncRates)}; group commit puts many readings in one sync`,
    }),
  );
  return rows;
}

function share(values: readonly number[]): string {
  return `${Math.round(median(values) * 100)} %`;
}

/** All sides of a round, and what the log holds of it, must be the same bytes. */
function checkRounds(
  measured: ReadonlyMap<string, readonly Round[]>,
  stored: ReadonlyMap<number, number>,
): string {
  const count = measured.get("ours")?.length ?? 0;
  let last = "";
  for (let round = 0; round < count; round += 1) {
    const checksums: Record<string, number> = { "in the log": stored.get(round + 2) ?? 0 };
    for (const [name, rounds] of measured) {
      const one = rounds[round];
      if (one !== undefined) checksums[name] = one.checksum;
    }
    last = sameChecksum(checksums);
  }
  return last;
}
