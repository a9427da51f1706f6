/**
 * Nodes on a network that partitions, breaks and delays, by seed. What arrives was sent, by that node to this one, once and in its
 * order; when the network is whole again, every node reaches every other.
 */
import { expect, test } from "vitest";
import { seededRandom } from "../../../host/world/random.ts";
import { bytesOf, hostOf, type Node, TransportWorld } from "./transport-world.ts";

const deep = process.env.TARDIGRADE_DEEP === "1";
const SEEDS = deep ? 2_000 : 60;
const STEPS = 120;
const IDS = [1, 2, 3] as const;

async function live(seed: number): Promise<{ sent: number; arrived: number; breaks: number }> {
  const random = seededRandom(seed);
  const world = new TransportWorld({
    ...{ random: random.fork("network"), timeoutMs: 2000, jitterMs: random.below(30) },
    ...(random.chance(0.5) ? { chunkBytesMax: 1 + random.below(100) } : {}),
  });
  const nodes = await world.cluster(IDS.length, { stableMs: 3000, refusedMs: 1000 });
  let [sent, breaks] = [0, 0];
  for (let step = 0; step < STEPS; step += 1) {
    const dice = random.below(20);
    const [a, b] = [1 + random.below(3), 1 + random.below(3)];
    if (dice === 0) world.network.partition(hostOf(a), hostOf(b));
    else if (dice < 3) world.network.heal(hostOf(a), hostOf(b));
    else if (dice === 3) {
      world.network.breakAll();
      breaks += 1;
    } else if (dice === 4) {
      await (nodes[a - 1] as Node).transport.close();
      const again = await world.start(a, { stableMs: 3000, refusedMs: 1000 });
      again.transport.setPeers(world.addresses(...IDS));
      // What arrived before stays part of the story.
      again.got.push(...(nodes[a - 1] as Node).got);
      nodes[a - 1] = again;
    } else if (dice < 12) {
      for (let count = random.below(5); count >= 0; count -= 1) {
        sent += 1;
        if (a !== b) (nodes[a - 1] as Node).transport.send(b, bytesOf(`${a}>${b} ${sent}`));
      }
    } else await world.clock.advance(random.below(800));
  }
  for (const a of IDS) for (const b of IDS) world.network.heal(hostOf(a), hostOf(b));
  await world.clock.advance(10_000);
  for (const node of nodes)
    for (const peer of IDS) if (peer !== node.id) expect(node.transport.isUp(peer)).toBe(true);
  let arrived = 0;
  for (const { id, got } of nodes) {
    const newest = new Map<string, number>();
    for (const text of got) {
      const [, from, sender, to, number] = /^(\d):(\d)>(\d) (\d+)$/.exec(text) as RegExpExecArray;
      expect([from, Number(to)]).toEqual([sender, id]);
      expect(Number(number)).toBeGreaterThan(newest.get(`${from}`) ?? 0);
      newest.set(`${from}`, Number(number));
      arrived += 1;
    }
  }
  return { sent, arrived, breaks };
}

test(
  "what arrives was sent, once and in order, whatever breaks",
  async () => {
    let [sent, arrived, breaks] = [0, 0, 0];
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        const lived = await live(seed);
        sent += lived.sent;
        arrived += lived.arrived;
        breaks += lived.breaks;
      } catch (cause) {
        throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
      }
    }
    // Else the seeds would prove little.
    expect([arrived > sent / 10, breaks > SEEDS]).toEqual([true, true]);
  },
  deep ? 600_000 : 60_000,
);
