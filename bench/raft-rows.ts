/** From the rounds of the suite "raft" to its rows. */
import { release } from "node:os";
import { COATY_VERSION, type CoatyResult } from "./coaty.ts";
import { median, sameChecksum, spread } from "./measure.ts";
import type { RaftRound } from "./raft.ts";
import type { MemoryResult } from "./raft-memory.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const THROUGHPUT_GOAL = 5;
const LATENCY_GOAL = 1;
const COMMITS_MIN = 250_000;
const COATY_GOAL = 10;

export interface RaftResults {
  /** By "store concurrency". */
  readonly measured: ReadonlyMap<string, readonly RaftRound[]>;
  readonly syncRates: readonly number[];
  readonly memory: readonly MemoryResult[];
  /** Rates of `@coaty/consensus.raft`, where it took part. */
  readonly coaty: readonly CoatyResult[];
  /** Version, where it took part. */
  readonly etcd: string | undefined;
}

type Figure = (round: RaftRound) => number;

export function raftRows(results: RaftResults): BenchRow[] {
  const { etcd, syncRates } = results;
  const concurrencies = [...results.measured.keys()]
    .filter((name) => name.startsWith("ours "))
    .map((name) => Number(name.split(" ")[1]));
  const rows = etcd === undefined ? [] : concurrencies.flatMap((at) => etcdRows(results, at, etcd));
  const most = concurrencies.at(-1) ?? 0;
  const ours = roundsOf(results, "ours", most).map(({ perSecond }) => perSecond);
  const disk = benchRow({
    claim: `puts, ${most} under way / raw fdatasync of the same disk, one at a time`,
    unit: "1/s",
    better: "more",
    ours: median(ours),
    peer: { name: "fdatasync", version: release(), value: median(syncRates) },
    checksum: checksumOf(results, most),
    note: `4 KiB written in place and synced, rounds ${spread(syncRates)}`,
  });
  return [...rows, disk, ...memoryRows(results)];
}

function memoryRows({ memory, coaty }: RaftResults): BenchRow[] {
  const rates = memory.map(({ perSecond }) => perSecond);
  const checksums = memory.flatMap((round) => round.checksums);
  const row = {
    claim: "commands committed and applied by three nodes in one process, no disk",
    ...({ unit: "1/s", better: "more", ours: median(rates) } as const),
    checksum: sameChecksum(Object.fromEntries(checksums.map((checksum, at) => [`node ${at}`, checksum]))),
    note: `64 bytes each, 256 proposed at a time; rounds ${spread(rates)}`,
  };
  const bound = benchRow({ ...row, peer: { name: "bound", version: "", value: COMMITS_MIN }, goal: 1 });
  if (coaty.length === 0) return [bound];
  const wire = coaty.map(({ json }) => json);
  const peer = benchRow({
    ...row,
    peer: { name: "@coaty/consensus.raft", version: COATY_VERSION, value: median(wire) },
    goal: COATY_GOAL,
    note: `its rounds ${spread(wire)}; with messages by reference ${spread(coaty.map(({ reference }) => reference))}`,
  });
  return [bound, peer];
}

function roundsOf({ measured }: RaftResults, store: string, concurrency: number): readonly RaftRound[] {
  return measured.get(`${store} ${concurrency}`) ?? [];
}

function checksumOf(results: RaftResults, concurrency: number): string {
  const sums = (store: string) => roundsOf(results, store, concurrency).map(({ checksum }) => checksum);
  const theirs = sums("etcd");
  return sums("ours").reduce((_, ours, round) => sameChecksum({ ours, etcd: theirs[round] ?? ours }), "");
}

function etcdRows(results: RaftResults, concurrency: number, version: string): BenchRow[] {
  const of = (store: string, figure: Figure): number[] => roundsOf(results, store, concurrency).map(figure);
  const checksum = checksumOf(results, concurrency);
  const row = (
    what: string,
    figure: Figure,
    how: { unit: string; better: "more" | "less"; goal?: number },
  ) => {
    const [ours, theirs] = [of("ours", figure), of("etcd", figure)];
    return benchRow({
      ...{ claim: `${what}, ${concurrency} under way`, ...how, ours: median(ours), checksum },
      peer: { name: "etcd", version, value: median(theirs) },
      note: `rounds ours ${spread(ours)}, peer ${spread(theirs)}; client's share of a core ${share(of("ours", clientCpu))}, peer ${share(of("etcd", clientCpu))}`,
    });
  };
  const perSecond: Figure = (round) => round.perSecond;
  if (concurrency === 1)
    return [
      row("put of 64 B, p50", ({ p50Ms }) => p50Ms, { unit: "ms", better: "less", goal: LATENCY_GOAL }),
      row("put of 64 B, p99", ({ p99Ms }) => p99Ms, { unit: "ms", better: "less" }),
    ];
  return [
    row("puts of 64 B", perSecond, { unit: "1/s", better: "more", goal: THROUGHPUT_GOAL }),
    row("put of 64 B, p99", ({ p99Ms }) => p99Ms, { unit: "ms", better: "less" }),
    row("processor time a put, three nodes", ({ cpuUs }) => cpuUs, { unit: "us", better: "less" }),
  ];
}

const clientCpu: Figure = (round) => round.clientCpu;

function share(values: readonly number[]): string {
  return `${Math.round(median(values) * 100)} %`;
}
