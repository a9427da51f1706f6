/** One suite for every Network. */
import { describe, expect, test } from "vitest";
import { nodeNetwork } from "../../host/io/network.ts";
import type { ByteStream, Network } from "../../host/io/seams.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { SimulatedNetwork } from "../../host/world/network.ts";
import { seededRandom } from "../../host/world/random.ts";

interface Subject {
  readonly network: Network;
  /** Lets time pass until the work is done. */
  run<T>(work: Promise<T>): Promise<T>;
}

const NETWORKS: Record<string, () => Subject> = {
  node: () => ({ network: nodeNetwork(), run: (work) => work }),
  simulated: () => {
    const clock = new SimulatedClock();
    const world = new SimulatedNetwork({
      clock,
      random: seededRandom(3),
      latencyMs: 4,
      jitterMs: 3,
      chunkBytesMax: 900,
    });
    const run = async <T>(work: Promise<T>): Promise<T> => {
      let busy = true;
      const end = () => {
        busy = false;
      };
      work.then(end, end);
      await clock.runUntil(() => !busy);
      return work;
    };
    return { network: world.host("127.0.0.1"), run };
  },
};

const LOCAL = { host: "127.0.0.1", port: 0 };

/** Collects what arrives until `length` bytes are there. */
function collect(stream: ByteStream, length: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    let all = new Uint8Array(0);
    const dispose = stream.onData((bytes) => {
      all = Uint8Array.from([...all, ...bytes]);
      if (all.length < length) return;
      dispose();
      resolve(all);
    });
  });
}

async function pair({ network, run }: Subject) {
  let accept: (stream: ByteStream) => void = () => undefined;
  const accepted = new Promise<ByteStream>((resolve) => {
    accept = resolve;
  });
  const server = await run(network.listen(LOCAL, (stream) => accept(stream)));
  const near = await run(network.connect({ ...LOCAL, port: server.port }));
  return { server, near, far: await run(accepted) };
}

describe.each(Object.entries(NETWORKS))("Network: %s", (_name, make) => {
  test("bytes arrive whole and in order, both ways", async () => {
    const subject = make();
    const { server, near, far } = await pair(subject);
    const up = new Uint8Array(5000).map((_, at) => at * 3);
    const arriving = collect(far, up.length);
    for (let at = 0; at < up.length; at += 700) near.write(up.subarray(at, at + 700));
    expect(await subject.run(arriving)).toEqual(up);
    const back = collect(near, 3);
    far.write(new Uint8Array([1, 2, 3]));
    expect(await subject.run(back)).toEqual(new Uint8Array([1, 2, 3]));
    near.close();
    await subject.run(server.close());
  });

  test("what arrives before anybody listens waits", async () => {
    const subject = make();
    const { server, near, far } = await pair(subject);
    const first = collect(far, 1);
    near.write(new Uint8Array([1]));
    await subject.run(first);
    near.write(new Uint8Array([2, 3]));
    const rest = collect(far, 2);
    expect(await subject.run(rest)).toEqual(new Uint8Array([2, 3]));
    near.close();
    await subject.run(server.close());
  });

  test("the caller may reuse its array after write", async () => {
    const subject = make();
    const { server, near, far } = await pair(subject);
    const mine = new Uint8Array([1, 2, 3]);
    near.write(mine);
    mine.fill(9);
    expect(await subject.run(collect(far, 3))).toEqual(new Uint8Array([1, 2, 3]));
    near.close();
    await subject.run(server.close());
  });

  test("a close reaches the other side after what was written, without an error", async () => {
    const subject = make();
    const { server, near, far } = await pair(subject);
    const events: unknown[] = [];
    far.onData((bytes) => events.push(bytes.length));
    const closed = new Promise<void>((resolve) => {
      far.onClose((error) => {
        events.push(error);
        resolve();
      });
    });
    near.write(new Uint8Array(10));
    near.close();
    near.close();
    expect(near.write(new Uint8Array(1))).toBe(false);
    await subject.run(closed);
    expect(events).toEqual([10, undefined]);
    // A listener that comes late hears of it too.
    await subject.run(new Promise<void>((resolve) => near.onClose(() => resolve())));
    await subject.run(new Promise<void>((resolve) => far.onClose(() => resolve())));
    far.onClose(() => events.push("no"))();
    await subject.run(server.close());
    expect(events.length).toBe(2);
  });

  test("write says when to wait, and drain when to go on", async () => {
    const subject = make();
    const { server, near, far } = await pair(subject);
    let clear = true;
    let written = 0;
    while (clear && written < 8 * 1024 * 1024) {
      clear = near.write(new Uint8Array(16 * 1024));
      written += 16 * 1024;
    }
    expect(clear).toBe(false);
    const drained = new Promise<void>((resolve) => {
      const dispose = near.onDrain(() => {
        dispose();
        resolve();
      });
    });
    far.onData(() => undefined);
    await subject.run(drained);
    near.close();
    await subject.run(server.close());
  });

  test("names a port in use and an address where nothing answers", async () => {
    const { network, run } = make();
    const server = await run(network.listen(LOCAL, () => undefined));
    expect(server.port).toBeGreaterThan(0);
    await expect(run(network.listen({ ...LOCAL, port: server.port }, () => undefined))).rejects.toMatchObject(
      {
        code: "PORT_IN_USE",
        message: expect.stringContaining(String(server.port)),
      },
    );
    await run(server.close());
    await expect(run(network.connect({ ...LOCAL, port: server.port }))).rejects.toMatchObject({
      code: "CONNECTION_FAILED",
    });
    await run((await run(network.listen({ ...LOCAL, port: server.port }, () => undefined))).close());
  });

  test("closing a listener ends its connections", async () => {
    const subject = make();
    const { server, near } = await pair(subject);
    const closed = new Promise<void>((resolve) => {
      near.onData(() => undefined);
      near.onClose(() => resolve());
    });
    await subject.run(server.close());
    await subject.run(closed);
  });
});
