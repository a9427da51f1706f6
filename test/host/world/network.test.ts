import { expect, test } from "vitest";
import type { ByteStream } from "../../../host/io/seams.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedNetwork, type SimulatedNetworkOptions } from "../../../host/world/network.ts";
import { seededRandom } from "../../../host/world/random.ts";

async function connected(options: Partial<SimulatedNetworkOptions> = {}) {
  const clock = new SimulatedClock();
  const world = new SimulatedNetwork({ clock, random: seededRandom(1), latencyMs: 10, ...options });
  let far: ByteStream | undefined;
  const server = await world.host("server").listen({ host: "server", port: 7 }, (stream) => {
    far = stream;
  });
  const connecting = world.host("client").connect({ host: "server", port: 7 });
  await clock.advance(10);
  return { clock, world, server, near: await connecting, far: far as unknown as ByteStream };
}

test("bytes take the latency, in chunks", async () => {
  const { clock, near, far } = await connected({ chunkBytesMax: 3 });
  const arrived: [number, number][] = [];
  far.onData((bytes) => arrived.push([clock.monotonicMs(), bytes.length]));
  near.write(new Uint8Array(20));
  await clock.advance(9);
  expect(arrived).toEqual([]);
  await clock.advance(1);
  expect(arrived.reduce((sum, [, length]) => sum + length, 0)).toBe(20);
  expect(arrived.every(([at, length]) => at === 20 && length <= 3)).toBe(true);
});

test("a partition delays, and breaks the connection when it outlives the time-out", async () => {
  const { clock, world, near, far } = await connected({ timeoutMs: 1000 });
  const arrived: number[] = [];
  far.onData((bytes) => arrived.push(bytes.length));
  const ends: unknown[] = [];
  near.onClose((error) => ends.push(error));
  far.onClose((error) => ends.push(error));
  world.partition("client", "server");
  near.write(new Uint8Array(5));
  await clock.advance(600);
  expect(arrived).toEqual([]);
  world.heal("server", "client");
  await clock.advance(300);
  expect(arrived).toEqual([5]);
  world.partition("server", "client");
  near.write(new Uint8Array(5));
  await clock.advance(2000);
  expect(ends).toEqual([
    expect.objectContaining({ code: "LINK_DOWN" }),
    expect.objectContaining({ code: "LINK_DOWN" }),
  ]);
  expect([arrived, world.connections, world.isCut("client", "server")]).toEqual([[5], 0, true]);
  const refused = expect(world.host("client").connect({ host: "server", port: 7 })).rejects.toMatchObject({
    code: "CONNECTION_FAILED",
  });
  await clock.advance(10);
  await refused;
});

test("a break ends every connection and what was under way", async () => {
  const { clock, world, near, far } = await connected();
  const arrived: number[] = [];
  far.onData((bytes) => arrived.push(bytes.length));
  near.write(new Uint8Array(5));
  world.breakAll();
  await clock.advance(100);
  expect([arrived, world.connections, near.write(new Uint8Array(1))]).toEqual([[], 0, false]);
});

test("a writer that does not wait is cut off at a bound", async () => {
  const { near } = await connected();
  const ends: unknown[] = [];
  near.onClose((error) => ends.push(error));
  for (let written = 0; written < 40; written += 1) near.write(new Uint8Array(1024 * 1024));
  expect(ends).toEqual([expect.objectContaining({ code: "QUEUE_FULL" })]);
});

test("free ports differ", async () => {
  const { world, server } = await connected();
  const listen = () => world.host("server").listen({ host: "server", port: 0 }, () => undefined);
  const ports = [(await listen()).port, (await listen()).port];
  expect(new Set(ports).size).toBe(2);
  await server.close();
  await world.host("server").listen({ host: "server", port: 7 }, () => undefined);
});
