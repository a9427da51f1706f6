import { describe, expect, test } from "vitest";
import {
  encodeAnswer,
  encodeHello,
  FRAME_HEADER_BYTES,
  putFrame,
} from "../../../host/cluster/transport/frame.ts";
import { INCOMING_MAX } from "../../../host/cluster/transport/incoming.ts";
import type { TcpTransportOptions } from "../../../host/cluster/transport/tcp-transport.ts";
import type { ByteStream, Network } from "../../../host/io/seams.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { bytesOf, CLUSTER, hostOf, type Node, portOf, TransportWorld } from "./transport-world.ts";

type Three = [Node, Node, Node];
type Two = [Node, Node];

function frame(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  putFrame(bytes, 0, body);
  return bytes;
}

/** The network, and what is done with it. */
function watched(
  network: Network,
  {
    onDial = () => undefined,
    onWrite = () => undefined,
  }: { onDial?: () => unknown; onWrite?: (bytes: number) => unknown },
): Network {
  const watch = (stream: ByteStream): ByteStream => ({
    write: (bytes) => {
      onWrite(bytes.length);
      return stream.write(bytes);
    },
    onData: (listener) => stream.onData(listener),
    onDrain: (listener) => stream.onDrain(listener),
    onClose: (listener) => stream.onClose(listener),
    close: () => stream.close(),
  });
  return {
    listen: (address, onConnection) => network.listen(address, onConnection),
    connect: (address) => {
      onDial();
      return network.connect(address).then(watch);
    },
  };
}

describe("between nodes", () => {
  test("messages arrive once, in order, from whom they are", async () => {
    const world = new TransportWorld({ chunkBytesMax: 7, jitterMs: 3 });
    const [one, two, three] = (await world.cluster(3)) as Three;
    expect([one, two, three].map(({ peers }) => peers.toSorted())).toEqual([
      ["2 up", "3 up"],
      ["1 up", "3 up"],
      ["1 up", "2 up"],
    ]);
    const message = bytesOf("a");
    expect(one.transport.send(2, message)).toBe(true);
    // The caller may use its memory again.
    message.fill(0);
    for (const text of ["b", "c"]) one.transport.send(2, bytesOf(text));
    three.transport.send(2, bytesOf("x"));
    await world.clock.advance(50);
    one.transport.send(2, bytesOf("d".repeat(40)));
    two.transport.send(1, bytesOf("back"));
    await world.clock.advance(50);
    expect(two.got.filter((text) => text.startsWith("1"))).toEqual([
      "1:a",
      "1:b",
      "1:c",
      `1:${"d".repeat(40)}`,
    ]);
    expect(two.got).toContain("3:x");
    expect([one.got, three.got]).toEqual([["2:back"], []]);
  });

  test("what one turn sends is one write", async () => {
    const world = new TransportWorld();
    const writes: number[] = [];
    const network = watched(world.network.host(hostOf(1)), { onWrite: (bytes) => writes.push(bytes) });
    const one = await world.start(1, { network });
    const two = await world.start(2);
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(20);
    for (let number = 0; number < 100; number += 1) one.transport.send(2, bytesOf("12345678"));
    await world.clock.advance(5);
    expect([writes, two.got.length]).toEqual([[32, 1600], 100]);
  });

  test("a full queue refuses, and goes on when the stream drains", async () => {
    const world = new TransportWorld({ latencyMs: 10 });
    const limits = { queueBytesMax: 70_000, frameBytesMax: 60_000 };
    const [one, two] = (await world.cluster(2, { ...limits, queueMessagesMax: 8 })) as Two;
    await world.clock.advance(100);
    // Makes the stream wait for its drain.
    for (let number = 0; number < 2; number += 1) {
      expect(one.transport.send(2, new Uint8Array(60_000).fill(65))).toBe(true);
      await world.clock.settle();
    }
    expect(one.transport.send(2, new Uint8Array(60_000).fill(66))).toBe(true);
    await world.clock.settle();
    expect(one.transport.send(2, new Uint8Array(10_000))).toBe(false);
    expect(one.transport.send(2, bytesOf("y"))).toBe(true);
    for (let number = 0; number < 6; number += 1) expect(one.transport.send(2, bytesOf("z"))).toBe(true);
    expect(one.transport.send(2, bytesOf("z"))).toBe(false);
    expect(one.counts.full).toBe(2);
    await world.clock.advance(100);
    const heads = two.got.map((text) => text.slice(0, 3)).join(" ");
    expect(heads).toBe(`1:A 1:A 1:B 1:y${" 1:z".repeat(6)}`);
    expect(one.transport.send(2, bytesOf("later"))).toBe(true);
  });

  test("what was queued for a connection that broke is not sent on the next", async () => {
    const world = new TransportWorld({ timeoutMs: 500 });
    const [one, two] = (await world.cluster(2)) as Two;
    world.network.partition(hostOf(1), hostOf(2));
    expect(one.transport.send(2, bytesOf("old"))).toBe(true);
    await world.clock.advance(1000);
    expect([one.transport.isUp(2), one.peers]).toEqual([false, ["2 up", "2 down"]]);
    expect(one.transport.send(2, bytesOf("down"))).toBe(false);
    expect([one.counts.down, one.counts["out LINK_DOWN"]]).toEqual([1, 1]);
    world.network.heal(hostOf(1), hostOf(2));
    await world.clock.advance(5000);
    expect(one.peers).toEqual(["2 up", "2 down", "2 up"]);
    one.transport.send(2, bytesOf("new"));
    await world.clock.advance(5);
    expect(two.got).toEqual(["1:new"]);
    // The same where the stream took nothing any more, so that it waits in the queue.
    for (let number = 0; number < 2; number += 1) {
      one.transport.send(2, new Uint8Array(100_000));
      await world.clock.settle();
    }
    expect(one.transport.send(2, bytesOf("old"))).toBe(true);
    world.network.breakAll();
    expect(one.transport.send(2, bytesOf("x"))).toBe(false);
    await world.clock.advance(5000);
    one.transport.send(2, bytesOf("newer"));
    await world.clock.advance(5);
    expect(two.got).toEqual(["1:new", "1:newer"]);
  });

  test("the late end of an old connection is not taken for that of the new one", async () => {
    for (let healMs = 0; healMs < 2000; healMs += 20) {
      const world = new TransportWorld();
      const silent = await world.network
        .host(hostOf(2))
        .listen({ host: "127.0.0.1", port: portOf(2) }, () => undefined);
      const one = await world.start(1);
      one.transport.setPeers(world.addresses(2));
      await world.clock.advance(100);
      world.network.partition(hostOf(1), hostOf(2));
      // The hello gets no answer; the end of that connection waits for the partition's.
      await world.clock.advance(6000);
      expect(one.counts["out TIMED_OUT"]).toBe(1);
      await silent.close();
      await world.start(2);
      await world.clock.advance(healMs);
      world.network.heal(hostOf(1), hostOf(2));
      await world.clock.advance(10_000);
      expect(one.peers).toEqual(["2 up"]);
    }
  });

  test("one direction works without the other", async () => {
    const world = new TransportWorld();
    const one = await world.start(1);
    const two = await world.start(2);
    one.transport.setPeers(world.addresses(1, 2));
    await world.clock.advance(20);
    expect([one.peers, two.peers, two.transport.isUp(1)]).toEqual([["2 up"], [], false]);
    expect([one.transport.send(2, bytesOf("there")), two.transport.send(1, bytesOf("back"))]).toEqual([
      true,
      false,
    ]);
    expect(two.counts).toEqual({ unknown: 1 });
    await world.clock.advance(5);
    expect([one.got, two.got]).toEqual([[], ["1:there"]]);
  });

  test("peers come, go and move while it runs", async () => {
    const world = new TransportWorld();
    const [one, two] = (await world.cluster(2)) as Two;
    await world.start(3);
    one.transport.setPeers(world.addresses(1, 2, 3));
    await world.clock.advance(20);
    // Who stayed where it was keeps its connection.
    expect(one.peers).toEqual(["2 up", "3 up"]);
    one.transport.setPeers(world.addresses(3));
    expect([one.peers.at(-1), one.transport.send(2, bytesOf("x"))]).toEqual(["2 down", false]);
    await world.clock.advance(60_000);
    expect(one.peers.length).toBe(3);
    // Node 2 is found at another port.
    await two.transport.close();
    const moved = await world.start(2, { listen: { host: "127.0.0.1", port: 9000 } });
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(1000);
    expect(one.transport.isUp(2)).toBe(false);
    one.transport.setPeers(new Map([[2, { host: hostOf(2), port: 9000 }]]));
    await world.clock.advance(20);
    one.transport.send(2, bytesOf("found"));
    await world.clock.advance(5);
    expect([moved.got, moved.transport.port]).toEqual([["1:found"], 9000]);
  });

  test.each<[string, Partial<TcpTransportOptions>, keyof typeof ERRORS]>([
    ["another cluster", { clusterId: 1n }, "CLUSTER_FOREIGN"],
    ["another node", { id: 3 }, "NODE_FOREIGN"],
  ])("%s at the address refuses, is told once, and tried again slowly", async (_, other, code) => {
    const world = new TransportWorld();
    let dials = 0;
    const network = watched(world.network.host(hostOf(1)), { onDial: () => (dials += 1) });
    const one = await world.start(1, { network });
    const wrong = await world.start(2, other);
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(300_000);
    expect([dials, one.peers, wrong.got]).toEqual([10, [], []]);
    expect([one.counts[`out ${code}`], wrong.counts[`in ${code}`]]).toEqual([10, 10]);
    expect(one.logged).toEqual([expect.stringContaining(ERRORS[code].help)]);
    await wrong.transport.close();
    await world.start(2);
    await world.clock.advance(40_000);
    expect(one.peers).toEqual(["2 up"]);
  });

  test("a peer that is away is dialled ever less often, and soon again after a connection that lasted", async () => {
    const world = new TransportWorld();
    const dialsMs: number[] = [];
    const network = watched(world.network.host(hostOf(1)), {
      onDial: () => dialsMs.push(world.clock.monotonicMs()),
    });
    const one = await world.start(1, { network });
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(60_000);
    const waits = dialsMs.slice(1).map((ms, at) => ms - (dialsMs[at] as number));
    expect([(waits[0] as number) < 60, (waits.at(-1) as number) > 900]).toEqual([true, true]);
    expect(Math.max(...waits)).toBeLessThan(2100);
    const two = await world.start(2);
    await world.clock.advance(15_000);
    expect(one.peers).toEqual(["2 up"]);
    dialsMs.length = 0;
    const brokenMs = world.clock.monotonicMs();
    world.network.breakAll();
    await world.clock.advance(2000);
    expect((dialsMs[0] as number) - brokenMs).toBeLessThan(60);
    // One that breaks again and again is not: the waits grow.
    for (let number = 0; number < 8; number += 1) {
      await world.clock.runUntil(() => one.transport.isUp(2));
      world.network.breakAll();
    }
    const [before, last] = dialsMs.slice(-2) as [number, number];
    expect(last - before).toBeGreaterThan(900);
    await two.transport.close();
  });

  test("closing ends everything", async () => {
    const world = new TransportWorld();
    const [one, two, three] = (await world.cluster(3)) as Three;
    one.transport.send(2, bytesOf("x"));
    for (const { transport } of [one, two, three]) await transport.close();
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(60_000);
    expect([world.network.connections, world.clock.pendingAlarms]).toEqual([0, 0]);
    expect(one.transport.send(2, bytesOf("x"))).toBe(false);
  });
});

describe("strangers", () => {
  interface Stranger {
    readonly stream: ByteStream;
    readonly answers: number[];
    closed: boolean;
  }
  async function stranger(world: TransportWorld, id: number, ...parts: Uint8Array[]): Promise<Stranger> {
    const connecting = world.network.host("stranger").connect({ host: hostOf(id), port: portOf(id) });
    await world.clock.advance(2);
    const stream = await connecting;
    const self: Stranger = { stream, answers: [], closed: false };
    stream.onData((bytes) => self.answers.push(...bytes));
    stream.onClose(() => {
      self.closed = true;
    });
    for (const part of parts) stream.write(part);
    await world.clock.advance(10);
    return self;
  }
  const hello = (from: number, to = 1, clusterId = CLUSTER) => encodeHello({ clusterId, from, to });
  const refusal = (code: keyof typeof ERRORS) => [...encodeAnswer({ code: ERRORS[code].number, nodeId: 1 })];

  test.each<[string, Uint8Array[], keyof typeof ERRORS, boolean]>([
    ["a message before the hello", [frame(bytesOf("hi"))], "PEER_HELLO", true],
    ["an HTTP request", [bytesOf("GET / HTTP/1.1\r\n\r\n")], "PEER_HELLO", false],
    ["a hello with a wrong checksum", [hello(2).with(5, 1)], "PEER_HELLO", false],
    [
      "a hello of another version",
      [frame(new Uint8Array([0x54, 0x50, 0x52, 0x31, 2, 0, 9, 9, 9]))],
      "PEER_VERSION",
      true,
    ],
    ["a hello of another cluster", [hello(2, 1, 7n)], "CLUSTER_FOREIGN", true],
    ["a hello for another node", [hello(2, 3)], "NODE_FOREIGN", true],
    ["a hello in this node's name", [hello(1)], "NODE_FOREIGN", true],
    ["a hello of nobody", [hello(0)], "NODE_FOREIGN", true],
    [
      "a long frame after the hello",
      [hello(2), new Uint8Array([1, 0, 64, 0, 0, 0, 0, 0])],
      "FRAME_OVERSIZE",
      false,
    ],
    ["an empty frame after the hello", [hello(2), new Uint8Array(8)], "FRAME_OVERSIZE", false],
    ["a damaged message", [hello(2), frame(bytesOf("hello")).with(10, 1)], "FRAME_CRC", false],
  ])("%s ends its connection with a code, and nothing else", async (_, parts, code, told) => {
    const world = new TransportWorld();
    const [one, two] = (await world.cluster(2)) as Two;
    const all = [...parts, frame(bytesOf("never"))];
    const inOneChunk = [new Uint8Array(Buffer.concat(all))];
    for (const [number, writes] of [all, inOneChunk].entries()) {
      const guest = await stranger(world, 1, ...writes);
      expect([guest.closed, one.counts[`in ${code}`]]).toEqual([true, number + 1]);
      if (told) expect(guest.answers).toEqual(refusal(code));
    }
    expect(one.got).toEqual([]);
    one.transport.send(2, bytesOf("on"));
    await world.clock.advance(10);
    expect(two.got).toEqual(["1:on"]);
  });

  test("who says nothing is shut out, and so is who comes when all places are taken", async () => {
    const world = new TransportWorld();
    const one = await world.start(1);
    const guests: Stranger[] = [];
    for (let number = 0; number < INCOMING_MAX; number += 1) guests.push(await stranger(world, 1));
    const late = await stranger(world, 1);
    expect([late.closed, late.answers]).toEqual([true, refusal("PEER_LIMIT")]);
    await world.clock.advance(6000);
    expect([guests.every(({ closed }) => closed), one.counts]).toEqual([
      true,
      { "in PEER_LIMIT": 1, "in TIMED_OUT": INCOMING_MAX },
    ]);
    await stranger(world, 1, hello(2), frame(bytesOf("room")));
    expect(one.got).toEqual(["2:room"]);
  });

  test("a node that dials again takes the place of its old connection", async () => {
    const world = new TransportWorld();
    const one = await world.start(1);
    const old = await stranger(world, 1, hello(2), frame(bytesOf("a")));
    const fresh = await stranger(world, 1, hello(2), frame(bytesOf("b")));
    expect([old.closed, fresh.closed, one.got]).toEqual([true, false, ["2:a", "2:b"]]);
  });

  test.each<[string, Uint8Array[], keyof typeof ERRORS]>([
    ["says nothing", [], "TIMED_OUT"],
    ["answers with something else", [frame(bytesOf("200 OK"))], "PEER_HELLO"],
    ["answers as another node", [encodeAnswer({ code: 0, nodeId: 9 })], "NODE_FOREIGN"],
    ["answers in another version", [frame(new Uint8Array([0x54, 0x50, 0x52, 0x31, 9, 0]))], "PEER_VERSION"],
    ["refuses with a code of tomorrow", [encodeAnswer({ code: 899, nodeId: 2 })], "PEER_HELLO"],
    ["goes on after the welcome", [encodeAnswer({ code: 0, nodeId: 2 }), frame(bytesOf("x"))], "PEER_HELLO"],
    [
      "welcomes twice",
      [encodeAnswer({ code: 0, nodeId: 2 }), encodeAnswer({ code: 0, nodeId: 2 })],
      "PEER_HELLO",
    ],
    ["answers with damage", [encodeAnswer({ code: 0, nodeId: 2 }).with(4, 0)], "FRAME_CRC"],
  ])("a node is not taken in by a listener that %s", async (_, parts, code) => {
    const world = new TransportWorld();
    await world.network.host(hostOf(2)).listen({ host: "127.0.0.1", port: portOf(2) }, (stream) => {
      stream.onData(() => undefined);
      for (const part of parts) stream.write(part);
    });
    const one = await world.start(1);
    one.transport.setPeers(world.addresses(2));
    await world.clock.advance(5500);
    expect([one.transport.isUp(2), (one.counts[`out ${code}`] ?? 0) > 0, one.got]).toEqual([false, true, []]);
    await one.transport.close();
  });

  test("nothing is listened on beyond loopback, and odd options are refused", async () => {
    const world = new TransportWorld();
    const listen = { host: "0.0.0.0", port: 1 };
    await expect(world.start(1, { listen })).rejects.toMatchObject({ code: "PEER_LOOPBACK" });
    const odd: Partial<TcpTransportOptions>[] = [
      { id: 0 },
      { id: 1.5 },
      { clusterId: -1n },
      { clusterId: 2n ** 64n },
      { queueBytesMax: 13 * 1024 * 1024 },
      { queueBytesMax: 1007, frameBytesMax: 1000 },
    ];
    for (const options of odd)
      await expect(world.start(1, options)).rejects.toMatchObject({ code: "ARGUMENT" });
    const one = await world.start(1, { frameBytesMax: 100 });
    await expect(world.start(1)).rejects.toMatchObject({ code: "PORT_IN_USE" });
    const refused = (code: string) => expect.objectContaining({ code });
    expect(() => one.transport.send(2, new Uint8Array(101))).toThrow(refused("FRAME_OVERSIZE"));
    expect(() => one.transport.send(2, new Uint8Array(0))).toThrow(refused("ARGUMENT"));
    expect(one.transport.send(2, new Uint8Array(100))).toBe(false);
  });
});
