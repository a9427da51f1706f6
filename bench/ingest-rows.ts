/** From the rounds of the suite "ingest" to its rows. */
import { release } from "node:os";
import { median, sameChecksum, spread, versionOf } from "./measure.ts";
import { type BenchRow, benchRow, type Peer } from "./rows.ts";

const GOAL = 0.8;

export interface IngestRound {
  /** Messages a second by when each was counted. */
  readonly acknowledged: number;
  readonly received: number;
  /** Processor microseconds of the side's own process, a message. */
  readonly cpuUs: number;
  /** Share of one core that the side's own process took; above 1 where it has threads. */
  readonly sideCpu: number;
  /** Share of one core that the generator took. */
  readonly generatorCpu: number;
  /** The same of a broker's subscriber. */
  readonly subscriberCpu: number;
  readonly resent: number;
  /** Sum of the CRC-32 of what the side got. */
  readonly checksum: number;
}

export interface IngestResults {
  readonly measured: ReadonlyMap<string, readonly IngestRound[]>;
  /** Of what the log holds, by boot, which is the round plus one. */
  readonly stored: ReadonlyMap<number, number>;
  readonly syncRates: readonly number[];
  readonly job: { readonly devices: number; readonly messagesPerDevice: number; readonly window: number };
  /** Version, where it took part. */
  readonly mosquitto: string | undefined;
}

interface BrokerSide {
  readonly name: string;
  readonly peer: Omit<Peer, "value">;
  readonly told: string;
  readonly goal?: number;
}

type Figure = (round: IngestRound) => number;

const acknowledged: Figure = (round) => round.acknowledged;
const received: Figure = (round) => round.received;

export function ingestRows(results: IngestResults): BenchRow[] {
  const checksum = checkRounds(results);
  const aedes = { name: "aedes", version: versionOf("aedes") };
  const sides: BrokerSide[] = [
    // The goal is set for the bare embedded broker that promises its subscriber as much as we do: at least once.
    { name: "aedes1", peer: aedes, told: "bare aedes, subscriber QoS 1", goal: GOAL },
    { name: "aedes0", peer: aedes, told: "bare aedes, subscriber QoS 0" },
  ];
  if (results.mosquitto !== undefined) {
    const peer = { name: "mosquitto", version: results.mosquitto };
    sides.push({ name: "mosquitto", peer, told: "mosquitto, subscriber QoS 1" });
  }
  return [
    ...sides.flatMap((side) => brokerRows(results, side, checksum)),
    ...costRows(results, aedes, checksum),
  ];
}

function of({ measured }: IngestResults, name: string, figure: Figure): readonly number[] {
  return (measured.get(name) ?? []).map(figure);
}

/** Counted at the PUBACK, and when the subscriber has everything. */
function brokerRows(results: IngestResults, side: BrokerSide, checksum: string): BenchRow[] {
  const { devices, window, messagesPerDevice } = results.job;
  const ours = of(results, "ours", acknowledged);
  const setting = `${devices} clients, ${window} in flight each, ${messagesPerDevice} readings a client and round; rounds ours ${spread(ours)}`;
  return [
    { when: "received by its subscriber", figure: received },
    { when: "PUBACK", figure: acknowledged },
  ].map(({ when, figure }) => {
    const values = of(results, side.name, figure);
    return benchRow({
      claim: `ingest to durable ack / ${side.told}, ${when}`,
      unit: "msg/s",
      better: "more",
      ours: median(ours),
      peer: { ...side.peer, value: median(values) },
      ...(side.goal === undefined ? {} : { goal: side.goal }),
      checksum,
      note: `${setting}, peer ${spread(values)}; shares of a core, ours: ${shares(results, "ours")}; peer: ${shares(results, side.name)}`,
    });
  });
}

/** Who was busy: a side whose own process is far from a whole core was held up by something else. */
function shares(results: IngestResults, name: string): string {
  const share = (figure: Figure): string => `${Math.round(median(of(results, name, figure)) * 100)} %`;
  const process = `process ${share((round) => round.sideCpu)}, generator ${share((round) => round.generatorCpu)}`;
  return name === "ours" ? process : `${process}, subscriber ${share((round) => round.subscriberCpu)}`;
}

function costRows(results: IngestResults, aedes: Omit<Peer, "value">, checksum: string): BenchRow[] {
  const cpuUs: Figure = (round) => round.cpuUs;
  const resent = of(results, "ours", (round) => round.resent).reduce((sum, count) => sum + count, 0);
  const side = (name: string, figure: Figure): number => median(of(results, name, figure));
  return [
    benchRow({
      claim: "ingest to state and history applied / bare aedes, subscriber QoS 1, received",
      unit: "msg/s",
      better: "more",
      ours: side("ours", received),
      peer: { ...aedes, value: side("aedes1", received) },
      checksum,
      note: `until every reading is in state and history too; ${resent} sent again because a queue was full`,
    }),
    benchRow({
      claim: "processor time a message, all of the gateway's work / bare aedes, subscriber QoS 1",
      unit: "us",
      better: "less",
      ours: side("ours", cpuUs),
      peer: { ...aedes, value: side("aedes1", cpuUs) },
      checksum,
      note: "user and system time of the side's process, all its threads",
    }),
    benchRow({
      claim: "durable readings / raw fdatasync of the same disk, one at a time",
      unit: "1/s",
      better: "more",
      ours: side("ours", acknowledged),
      peer: { name: "fdatasync", version: release(), value: median(results.syncRates) },
      checksum,
      note: `4 KiB written in place and synced, rounds ${spread(results.syncRates)}; group commit puts many readings in one sync`,
    }),
  ];
}

/** All sides of a round, and what the log holds of it, must be the same bytes. */
function checkRounds({ measured, stored }: IngestResults): string {
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
