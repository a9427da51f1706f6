/**
 * Virtual boards in real time: 2,000 at 1 Hz in one process against a gateway in another; and what a gateway with ten boards
 * takes, run from dist/ as it is published.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";
import { buildImage, startBoards } from "./board-processes.ts";
import { Child, ROOT } from "./child.ts";
import { type GatewayProcess, startGateway } from "./gateway-process.ts";
import { readLog } from "./log-content.ts";
import { median, type SuiteOptions, sameChecksum, scaled } from "./measure.ts";
import { ArrivalBook } from "./punctuality.ts";
import { type BenchRow, benchRow, type Peer } from "./rows.ts";

const BOARDS = 2000;
const FOOTPRINT_BOARDS = 10;
const WINDOW_S = 60;
const PERIOD_MS = 1000;
const SAMPLE_MS = 500;
/** After the connections, until caches and compilers are quiet. */
const QUIET_S = 10;
const ON_TIME_GOAL = 0.99;
const RSS_MB_MAX = 110;
const CPU_PERCENT_MAX = 5;
const MB = 1e6;
const DIST_CLI = join(ROOT, "dist/cli.js");

export interface VirtualSuiteOptions extends SuiteOptions {
  /** The program whose footprint is taken: dist/cli.js, which `npm run build` makes. */
  readonly cli?: string;
}

export async function virtualSuite(options: VirtualSuiteOptions): Promise<BenchRow[]> {
  const { cli = DIST_CLI } = options;
  if (!existsSync(cli)) {
    throw new Error(
      "The suite virtual runs the gateway from dist/, which is not there: `npm run build`, then again.",
    );
  }
  return [...(await fleetRows(options)), ...(await footprintRows({ ...options, cli }))];
}

export async function fleetRows({ scale, folder, say }: SuiteOptions): Promise<BenchRow[]> {
  const count = scaled(BOARDS, scale, 3);
  const windowS = scaled(WINDOW_S, scale, 2);
  const own = join(folder, "fleet");
  mkdirSync(own);
  const image = await buildImage("bench/apps/heartbeat/app.ts", join(own, "image"));
  const gateway = await startGateway({ folder: own });
  say(`${count} boards connect`);
  const boards = startBoards({ port: gateway.port, count, image });
  try {
    await boards.until(({ connected }) => connected === count);
    say("all have a session");
    await pause(scaled(QUIET_S, scale, 1));
    const [boardsLoad, gatewayLoad] = [new LoadBook(boards.child), new LoadBook(gateway.child)];
    const fromWallMs = systemClock().wallMs();
    await pause(windowS);
    const toWallMs = systemClock().wallMs();
    const boardsUse = boardsLoad.close();
    const gatewayUse = gatewayLoad.close();
    say("draining");
    const figures = await boards.drain();
    await boards.child.stop();
    await gateway.child.stop();
    const book = new ArrivalBook();
    await readLog(gateway.data, (record) => book.add(record));
    const { stored, onTimeShare, ...late } = book.judge({
      fromWallMs,
      toWallMs,
      periodMs: PERIOD_MS,
      boards: count,
    });
    const expected = figures.produced - figures.dropped;
    const checksum = sameChecksum({ "produced by the boards": expected, "in the log": stored });
    const worker = Child.node("workers", [join(ROOT, "bench/worker-cost.ts")]);
    const { bytes } = await worker.next("cost");
    await worker.stop();
    const delay = `delay above a board's least: median ${Math.round(late.lateMsMedian)} ms, p99 ${Math.round(late.lateMsP99)} ms, most ${Math.round(late.lateMsMax)} ms`;
    const claim = `${count} boards at 1 Hz in one process`;
    return [
      benchRow({
        claim: `${claim}: readings in the log before the next was due`,
        unit: "%",
        better: "more",
        ours: onTimeShare * 100,
        peer: { name: "real time", version: "", value: 100 },
        goal: ON_TIME_GOAL,
        checksum,
        note: `${windowS} s; ${delay}; ${figures.produced} produced, ${stored} in the log, ${figures.dropped} dropped, 0 lost`,
      }),
      benchRow({
        claim: `${claim}: processor`,
        unit: "% of a core",
        better: "less",
        ours: boardsUse.cpuPercent,
        peer: { name: "one core", version: "", value: 100 },
        goal: 1,
        checksum,
        note: "of the boards' process, MQTT clients included",
      }),
      benchRow({
        claim: `${claim}: memory a board`,
        unit: "KB",
        better: "less",
        ours: boardsUse.rssMedianMb * (1000 / count),
        peer: {
          name: "a worker thread a board, idle",
          version: process.version,
          value: Number(bytes) / 1000,
        },
        checksum,
        note: `the whole process, ${Math.round(boardsUse.rssMedianMb)} MB, by boards, MQTT client included`,
      }),
      benchRow({
        claim: `${claim}: processor of their gateway`,
        unit: "% of a core",
        better: "less",
        ours: gatewayUse.cpuPercent,
        peer: { name: "one core", version: "", value: 100 },
        checksum,
        note: `gateway's memory ${Math.round(gatewayUse.rssMedianMb)} MB`,
      }),
    ];
  } finally {
    await Promise.all([boards.child.stop(), gateway.child.stop()]);
  }
}

/** Two gateways at once, each with its own ten boards: one alone, one that forwards as `npm start` has it. */
export async function footprintRows(options: SuiteOptions & { readonly cli: string }): Promise<BenchRow[]> {
  const { scale, folder, say, cli } = options;
  const windowS = scaled(WINDOW_S, scale, 2);
  const image = await buildImage("firmware/apps/greenhouse/app.ts", join(folder, "greenhouse"));
  const downstream = Child.node("downstream broker", [join(ROOT, "bench/bare-broker.ts")]);
  const children = [downstream];
  try {
    const { port } = await downstream.next("ready");
    const runs: { what: string; gateway: GatewayProcess; boards: ReturnType<typeof startBoards> }[] = [];
    for (const [what, forward] of [
      ["gateway, ten boards", undefined],
      ["gateway that forwards, ten boards", `mqtt://127.0.0.1:${port}`],
    ] as const) {
      const own = join(folder, `footprint-${runs.length}`);
      mkdirSync(own);
      const gateway = await startGateway({ folder: own, cli, ...(forward === undefined ? {} : { forward }) });
      children.push(gateway.child);
      const args = ["--csv", weatherCsv(), "--column", "temp_max:-40:85", "--column", "precipitation:-20:60"];
      const boards = startBoards({ port: gateway.port, count: FOOTPRINT_BOARDS, image, cli, args });
      children.push(boards.child);
      await boards.until(({ connected }) => connected === FOOTPRINT_BOARDS);
      runs.push({ what, gateway, boards });
    }
    say(`ten boards on each of two gateways from ${cli === DIST_CLI ? "dist/" : "source"}, ${windowS} s`);
    await pause(scaled(QUIET_S, scale, 1));
    const books = runs.map(({ gateway }) => new LoadBook(gateway.child));
    await pause(windowS);
    const uses = books.map((book) => book.close());
    const rows: BenchRow[] = [];
    for (const [index, { what, gateway, boards }] of runs.entries()) {
      const figures = await boards.drain();
      // Before the broker goes: a board says goodbye to it.
      await boards.child.stop();
      await gateway.child.stop();
      const book = new ArrivalBook();
      await readLog(gateway.data, (record) => book.add(record));
      const { stored } = book.judge({ fromWallMs: 0, toWallMs: 1, periodMs: 1, boards: 1 });
      const checksum = sameChecksum({
        "produced by the boards": figures.produced - figures.dropped,
        "in the log": stored,
      });
      rows.push(...useRows(what, uses[index] as Use, { checksum, windowS }));
    }
    return rows;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

function useRows(
  what: string,
  use: Use,
  told: { readonly checksum: string; readonly windowS: number },
): BenchRow[] {
  const { checksum, windowS } = told;
  const bound = (value: number): Peer => ({ name: "bound", version: "", value });
  return [
    benchRow({
      claim: `${what}: memory, steady`,
      unit: "MB",
      better: "less",
      ours: use.rssMedianMb,
      peer: bound(RSS_MB_MAX),
      goal: 1,
      checksum,
      note: `median of ${windowS} s, VmRSS; MB are 10^6 bytes`,
    }),
    benchRow({
      claim: `${what}: memory, peak`,
      unit: "MB",
      better: "less",
      ours: use.rssPeakMb,
      peer: bound(RSS_MB_MAX),
      goal: 1,
      checksum,
      note: "VmHWM since the process began",
    }),
    benchRow({
      claim: `${what}: processor`,
      unit: "% of a core",
      better: "less",
      ours: use.cpuPercent,
      peer: bound(CPU_PERCENT_MAX),
      goal: 1,
      checksum,
      note: `over ${windowS} s, after the connections`,
    }),
  ];
}

interface Use {
  readonly cpuPercent: number;
  readonly rssMedianMb: number;
  readonly rssPeakMb: number;
}

/** Watches a process from /proc until closed. */
class LoadBook {
  readonly #child: Child;
  readonly #startedMs: number;
  readonly #startedCpuS: number;
  readonly #rssBytes: number[] = [];
  #cancel: () => void = () => {};

  constructor(child: Child) {
    this.#child = child;
    this.#startedMs = systemClock().monotonicMs();
    this.#startedCpuS = child.usage().cpuS;
    this.#sample();
  }

  #sample(): void {
    this.#rssBytes.push(this.#child.usage().rssBytes);
    this.#cancel = systemClock().alarm(SAMPLE_MS, () => this.#sample());
  }

  close(): Use {
    this.#cancel();
    const elapsedS = (systemClock().monotonicMs() - this.#startedMs) / 1000;
    return {
      cpuPercent: ((this.#child.usage().cpuS - this.#startedCpuS) / elapsedS) * 100,
      rssMedianMb: median(this.#rssBytes) / MB,
      rssPeakMb: peakBytes(this.#child.pid) / MB,
    };
  }
}

function peakBytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => systemClock().alarm(seconds * 1000, resolve));
}

function weatherCsv(): string {
  return createRequire(import.meta.url).resolve("@observablehq/sample-datasets/weather.csv");
}
