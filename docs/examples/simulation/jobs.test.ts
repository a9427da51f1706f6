/**
 * A program of yours in simulated worlds: workers that take jobs off a list in the replicated store, each job once, while nodes crash, links
 * fail and clocks jump. A seed that fails is run again alone, with the same faults at the same moments.
 */
import { isTardigradeError, type KvClient, type WorldUser, world } from "tardigrade/sim";
import { expect, test } from "vitest";

const SEEDS = 10;
const WORKERS = 3;
const utf8 = new TextEncoder();

type Take = (kv: KvClient, job: string) => Promise<boolean>;

/** Takes a job only if nobody has: the store decides. */
const carefully: Take = async (kv, job) =>
  (await kv.put(job, utf8.encode("taken"), { when: { revision: 0 } })).done;

/** Looks, then writes: somebody else may write in between. */
const carelessly: Take = async (kv, job) => {
  if ((await kv.get(job)) !== undefined) return false;
  await kv.put(job, utf8.encode("taken"));
  return true;
};

function worker(take: Take, done: Set<string>): WorldUser {
  return async ({ kv, sleep, isRunning, random }) => {
    for (let number = 1; isRunning(); number += 1) {
      await sleep(20 + (random.u32() % 20));
      const job = `jobs/${number}`;
      try {
        if (!(await take(kv, job))) continue;
        if (done.has(job)) throw new Error(`${job} is done twice`);
        done.add(job);
      } catch (error) {
        // The cluster did not answer in time: whether the job is ours is not known, so it is left alone.
        if (!isTardigradeError(error)) throw error;
      }
    }
  };
}

async function violationOf(seed: number, take: Take): Promise<string | undefined> {
  const done = new Set<string>();
  const users = Array.from({ length: WORKERS }, () => worker(take, done));
  const { violation } = await world.run({ seed, forMs: 20_000, clients: 0, users });
  return violation === undefined ? undefined : `seed ${seed}: ${violation.what}`;
}

test("no job is done twice, whatever happens", async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) expect(await violationOf(seed, carefully)).toBeUndefined();
});

test("a worker that looks before it writes does some twice", async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const violation = await violationOf(seed, carelessly);
    if (violation === undefined) continue;
    expect(violation).toContain("is done twice");
    return;
  }
  expect.unreachable("no seed shows it");
});
