/** The simulated cluster: no violation in many seeds, the same world from the same seed, and that a broken Raft is found. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { inThreads } from "../../../host/cli/world-threads.ts";
import { FAULTS, runWorld, type WorldUser } from "../../../host/world/world.ts";
import { openTestCore } from "../../support/core.ts";
import { huntInWorlds } from "./planted-hunt.ts";
import { PLANTED_RAFT } from "./planted-raft.ts";

const core = openTestCore();
const SEEDS = process.env.TARDIGRADE_DEEP === "1" ? 20_000 : 200;
const A_TEST = SEEDS / 10;

describe("three or five nodes, ten clients and all faults for 30 s", () => {
  test.each(Array.from({ length: 10 }, (_, part) => part * A_TEST + 1))(
    "seeds from %i on",
    async (first) => {
      for (let seed = first; seed < first + A_TEST; seed += 1) {
        const { violation, faults, commits } = await runWorld(core, { seed, forMs: 30_000 });
        expect({ seed, violation }).toEqual({ seed, violation: undefined });
        expect(Math.min(faults, commits)).toBeGreaterThan(0);
      }
    },
    A_TEST * 5_000,
  );
});

test("a seed is a world: run again it is the same, and another seed is another", async () => {
  const run = (seed: number) => runWorld(core, { seed, forMs: 20_000 });
  const [first, again, other] = [await run(7), await run(7), await run(8)];
  expect(again).toEqual(first);
  expect(other.digest).not.toBe(first.digest);
});

test("a world is the same whatever begins it: a promise, a timer, another thread", async () => {
  const run = () => runWorld(core, { seed: 1, forMs: 20_000 });
  const first = await run();
  const ofTimer = await new Promise((resolve) => setImmediate(() => resolve(run())));
  expect(ofTimer).toEqual(first);
  const threads = inThreads({ kind: "cluster", options: { forMs: 20_000 } }, 1);
  const ofThread = await threads.run(1).finally(() => threads.close());
  expect(ofThread).toEqual({ report: first, events: [] });
});

test("each fault by itself is survived", async () => {
  for (const fault of FAULTS) {
    const { violation } = await runWorld(core, { seed: 3, forMs: 15_000, faults: [fault] });
    expect({ fault, violation }).toEqual({ fault, violation: undefined });
  }
}, 60_000);

test("a node alone, and a cluster without clients", async () => {
  expect((await runWorld(core, { seed: 1, forMs: 10_000, nodes: 1 })).violation).toBeUndefined();
  expect((await runWorld(core, { seed: 1, forMs: 10_000, clients: 0 })).violation).toBeUndefined();
});

describe("users", () => {
  test("bring their own program, in virtual time", async () => {
    let sum = 0;
    const user: WorldUser = async ({ kv, sleep, isRunning }) => {
      while (isRunning()) {
        await sleep(1_000);
        await kv.put("beat", new TextEncoder().encode("x")).catch(() => undefined);
        sum += 1;
      }
    };
    const { violation } = await runWorld(core, { seed: 1, forMs: 20_000, users: [user, user] });
    expect(violation).toBeUndefined();
    expect(sum).toBeGreaterThan(5);
  });
  test("whose promise is broken are a violation", async () => {
    const users: WorldUser[] = [async () => Promise.reject(new Error("the counter went back"))];
    const { violation } = await runWorld(core, { seed: 1, forMs: 5_000, users });
    expect(violation?.what).toBe("user 0: the counter went back");
  });
});

describe("what is no world is refused", () => {
  test.each([
    { seed: -1 },
    { seed: 1.5 },
    { seed: 1, nodes: 0 },
    { seed: 1, forMs: 0 },
    { seed: 1, faults: ["rust"] as never },
  ])("%o", async (options) => {
    await expect(runWorld(core, options)).rejects.toMatchObject({ code: "ARGUMENT" });
  });
});

describe("planted bugs are found", () => {
  test("in the core's Raft", async () => {
    const name = "votes for a log that lacks entries";
    const bug = PLANTED_RAFT.find((one) => one.name === name);
    if (bug === undefined) throw new Error(`no bug is called ${name}`);
    expect((await huntInWorlds(bug, { seedsMax: 20 })).report?.violation?.what).toContain(
      "leader completeness",
    );
  }, 120_000);

  test("around it, and by the checks of the world that see all sides", async () => {
    const names = [
      "the log skips its sync",
      "the driver takes for durable",
      "a retried command is applied twice",
      "compacted before the state is durable",
      "does not wait until its entry is applied",
      "late answer to an earlier read",
    ];
    const script = join(import.meta.dirname, "../../../scripts/planted-bugs.ts");
    const only = names.flatMap((name) => ["--only", name]);
    // It exits with 1, and this rejects, when one is missed.
    const { stdout } = await promisify(execFile)(process.execPath, [
      script,
      "raft",
      "--seeds",
      "40",
      ...only,
    ]);
    expect(stdout).toContain(`${names.length} of ${names.length} planted bugs caught`);
  }, 120_000);
});
