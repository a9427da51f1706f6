/**
 * `npm run bench -- SUITE --json FILE`: measures ours beside its peers in one run and tells the ratio. Absolute figures depend
 * on the machine and on what else it does; ratios do much less.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { note, print } from "../host/cli/output.ts";
import { ROOT } from "./child.ts";
import type { SuiteOptions } from "./measure.ts";
import { type BenchRow, formatRows } from "./rows.ts";

interface Suite {
  readonly about: string;
  readonly rounds: number;
  readonly load: () => Promise<(options: SuiteOptions) => Promise<BenchRow[]>>;
}

const SUITES: Readonly<Record<string, Suite>> = {
  ingest: {
    about: "readings a second to the disk, beside aedes and mosquitto (Debian package mosquitto)",
    rounds: 5,
    load: async () => (await import("./ingest.ts")).ingestSuite,
  },
  virtual: {
    about:
      "2,000 virtual boards at 1 Hz in one process; the gateway from dist/ with ten boards (npm run build first)",
    rounds: 1,
    load: async () => (await import("./virtual.ts")).virtualSuite,
  },
  core: {
    about: "decisions of every policy, sampler and placement, beside cockatiel, opossum, limiter and others",
    rounds: 9,
    load: async () => (await import("./core.ts")).coreSuite,
  },
  native: {
    about: "cycles on the emulated Cortex-M0+ beside C, and emulated Picos in real time (gcc-arm-none-eabi)",
    rounds: 1,
    load: async () => (await import("./native.ts")).nativeSuite,
  },
  device: {
    about: "cycles, flash and state of every policy on the emulated Cortex-M0+, beside C (gcc-arm-none-eabi)",
    rounds: 1,
    load: async () => (await import("./device.ts")).deviceSuite,
  },
  lockfree: {
    about:
      "queues on shared memory between two threads, beside MessagePort and moodycamel (g++, libconcurrentqueue-dev)",
    rounds: 7,
    load: async () => (await import("./lockfree.ts")).lockfreeSuite,
  },
  raft: {
    about: "puts into three nodes with their logs synced, beside three etcd (Debian package etcd-server)",
    rounds: 5,
    load: async () => (await import("./raft.ts")).raftSuite,
  },
  failover: {
    about: "from kill -9 of the leader to the next acknowledged put, beside three etcd (etcd-server)",
    rounds: 1,
    load: async () => (await import("./failover.ts")).failoverSuite,
  },
  world: {
    about: "node-seconds with faults that a simulated cluster lives through in a minute",
    rounds: 3,
    load: async () => (await import("./world.ts")).worldSuite,
  },
  log: {
    about: "durable appends to the segment log, beside raw fdatasync and lmdb",
    rounds: 5,
    load: async () => (await import("./log.ts")).logSuite,
  },
};

const USAGE = `npm run bench -- SUITE [--json FILE] [--rounds N] [--scale SHARE] [--folder FOLDER]

Suites:
${Object.entries(SUITES)
  .map(([name, { about }]) => `  ${name.padEnd(8)} ${about}`)
  .join("\n")}

--scale takes a share of the usual work; --folder is on the disk to measure (default build/).`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "string" },
      rounds: { type: "string" },
      scale: { type: "string", default: "1" },
      folder: { type: "string", default: join(ROOT, "build") },
    },
  });
  const [name] = positionals;
  const suite = name === undefined ? undefined : SUITES[name];
  if (suite === undefined) {
    if (name !== undefined) note(`There is no suite "${name}".`);
    print(USAGE);
    return name === undefined ? 0 : 1;
  }
  const rounds = Number(values.rounds ?? suite.rounds);
  const scale = Number(values.scale);
  if (!Number.isInteger(rounds) || rounds < 1 || !(scale > 0)) {
    note("--rounds takes a whole number from 1, --scale a number above 0.");
    return 1;
  }
  mkdirSync(values.folder, { recursive: true });
  const folder = mkdtempSync(join(values.folder, "bench-"));
  try {
    const run = await suite.load();
    const rows = await run({ rounds, scale, folder, say: note });
    print(formatRows(rows));
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  } catch (error) {
    note(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
