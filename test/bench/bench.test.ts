/** Every suite runs small here, so that none can rot. Nothing is asserted about how fast anything is. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ROOT } from "../../bench/child.ts";
import { coreSuite } from "../../bench/core.ts";
import { failoverSuite } from "../../bench/failover.ts";
import { ingestSuite } from "../../bench/ingest.ts";
import { lockfreeSuite } from "../../bench/lockfree.ts";
import { logSuite } from "../../bench/log.ts";
import { interleave, median, type SuiteOptions, sameChecksum, versionOf } from "../../bench/measure.ts";
import { mosquittoBinary } from "../../bench/mosquitto.ts";
import { ArrivalBook } from "../../bench/punctuality.ts";
import { raftSuite } from "../../bench/raft.ts";
import { benchRow, formatRows } from "../../bench/rows.ts";
import { virtualSuite } from "../../bench/virtual.ts";
import { worldSuite } from "../../bench/world.ts";
import { expectRows } from "../support/bench-rows.ts";

let folder = "";
let options: SuiteOptions;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-bench-"));
  options = { rounds: 1, scale: 0.001, folder, say: () => {} };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("suites, small", () => {
  test("ingest: the gateway and bare aedes get the same bytes, and the log holds them", async () => {
    const rows = await ingestSuite({ ...options, mosquitto: false });
    expectRows(rows);
    expect(new Set(rows.map(({ checksum }) => checksum)).size).toBe(1);
    expect(rows.filter(({ goal }) => goal === 0.8).map(({ peer }) => peer.name)).toEqual(["aedes", "aedes"]);
  });

  test("virtual: a fleet and the footprint lose nothing", async () => {
    const rows = await virtualSuite({ ...options, cli: join(ROOT, "host/cli/main.ts") });
    expectRows(rows);
    expect(rows.some(({ claim }) => claim.includes("memory, peak"))).toBe(true);
    expect(rows.some(({ claim }) => claim.startsWith("3 boards at 1 Hz"))).toBe(true);
  });

  test("virtual: without dist/ it says what to run", async () => {
    await expect(virtualSuite({ ...options, cli: join(folder, "none.js") })).rejects.toThrow("npm run build");
  });

  test("core: ours and the peers do the same work", async () => {
    const rows = await coreSuite(options);
    expectRows(rows);
    for (const name of ["cockatiel", "opossum", "limiter", "rate-limiter-flexible", "hashring"])
      expect(rows.map(({ peer }) => `${peer.name} ${peer.version}`)).toContain(`${name} ${versionOf(name)}`);
  });

  test("lockfree: queues and MessagePort carry the same", async () => {
    const rows = await lockfreeSuite(options);
    expectRows(rows);
    expect(rows.filter(({ goal }) => goal !== null)).toHaveLength(5);
  });

  test("raft: three nodes hold what was put into them", async () => {
    const rows = await raftSuite({ ...options, etcd: false });
    expectRows(rows);
    expect(rows.map(({ peer }) => peer.name)).toEqual(["fdatasync", "bound"]);
  });

  test("failover: puts go on when a leader is killed", async () => {
    const rows = await failoverSuite({ ...options, etcd: false });
    expectRows(rows);
    expect(rows[0]?.note).toContain("in 2 kills");
  }, 60_000);

  test("world: a seed is the same world in each round", async () => {
    const rows = await worldSuite(options);
    expectRows(rows);
    expect(rows[0]?.note).toContain("messages");
  });

  test("log: the segment log and lmdb read back the same records", async () => {
    const rows = await logSuite(options);
    expectRows(rows);
    expect(rows.map(({ peer }) => peer.name)).toEqual(["lmdb", "fdatasync", "lmdb", "fdatasync"]);
    expect(rows[0]?.checksum).not.toBe(rows[2]?.checksum);
  });
});

describe("measuring", () => {
  test("sides take turns, and the first round is dropped", async () => {
    const calls: string[] = [];
    const side = (name: string) => (round: number) => {
      calls.push(`${name}${round}`);
      return round;
    };
    const results = await interleave(2, { a: side("a"), b: side("b") });
    expect(calls).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
    expect([...results]).toEqual([
      ["a", [1, 2]],
      ["b", [1, 2]],
    ]);
  });

  test("the median of an even count lies between the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 9])).toBe(3);
  });

  test("different work is an error that tells both checksums", () => {
    expect(sameChecksum({ ours: 255, peer: 255 })).toBe("000000ff");
    expect(() => sameChecksum({ ours: 1, peer: 2 })).toThrow("ours 00000001, peer 00000002");
  });

  test("a ratio above 1 means that we win, whichever way the unit counts", () => {
    const base = { claim: "c", unit: "u", ours: 20, checksum: "x", note: "" } as const;
    const peer = { name: "p", version: "1", value: 10 };
    expect(benchRow({ ...base, peer, better: "more" })).toMatchObject({ ratio: 2, goal: null });
    expect(benchRow({ ...base, peer, better: "less", goal: 0.8 })).toMatchObject({ ratio: 0.5, goal: 0.8 });
  });

  test("the table says whether a goal was met", () => {
    const base = { claim: "c", unit: "u", checksum: "x", note: "why", better: "more", goal: 0.8 } as const;
    const peer = { name: "p", version: "1", value: 10 };
    const text = formatRows([benchRow({ ...base, ours: 9, peer }), benchRow({ ...base, ours: 7, peer })]);
    expect(text).toMatch(/0\.9 +0\.8 +yes/);
    expect(text).toMatch(/0\.7 +0\.8 +no/);
    expect(text).toContain("- c: why");
  });

  test("mosquitto missing is an error that names the package", () => {
    expect(() => mosquittoBinary([join(folder, "mosquitto")])).toThrow("apt-get install mosquitto");
  });
});

describe("punctuality", () => {
  const record = (seq: number, wallMs: number) =>
    ({
      device: "board-01",
      stamp: 0n,
      wallMs,
      body: {
        type: "message",
        message: {
          kind: "telemetry",
          boot: 1,
          seq,
          uptimeUs: seq * 1_000_000,
          readings: [{ metric: 0, offsetUs: 0, value: 1 }],
        },
      },
    }) as const;

  test("a reading that came after the next was due is late, one that never came counts as late", () => {
    const book = new ArrivalBook();
    // Due at 101,000, 102,000 and so on by the fastest; the third comes 1.5 s late, the fifth never.
    for (const [seq, wallMs] of [
      [1, 101_000],
      [2, 102_400],
      [3, 104_500],
      [4, 104_000],
    ] as const)
      book.add(record(seq, wallMs));
    const judged = book.judge({ fromWallMs: 101_000, toWallMs: 106_000, periodMs: 1000, boards: 1 });
    expect(judged).toMatchObject({ stored: 4, onTimeShare: 3 / 5, lateMsMax: 1500 });
  });
});
