/** The forwarder and its journal on simulated seams: what is sent, what waits, what survives. */
import { describe, expect, test } from "vitest";
import { histogram, histogramFromBytes } from "../../../host/exports/stats.ts";
import { type ForwarderJournal, openForwarderJournal } from "../../../host/gateway/forwarder-journal.ts";
import type { ExactlyOnceLink, OutgoingPacket, PacketStore } from "../../../host/io/seams.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

/** The other broker takes what is written; flows are completed when the test says so. */
class FakeLink implements ExactlyOnceLink {
  readonly #store: PacketStore;
  #listener: (up: boolean) => void = () => {};
  #nextId = 1;
  readonly sent: { topic: string; body: Record<string, unknown>; offset: number; id: number }[] = [];
  automatic = true;

  constructor(store: PacketStore) {
    this.#store = store;
  }
  publish(topic: string, payload: Uint8Array, offset: number): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#store.put({ state: "publish", messageId: id, topic, payload }, offset, (error) => {
      if (error !== undefined) return;
      this.sent.push({ topic, body: JSON.parse(new TextDecoder().decode(payload)), offset, id });
      if (this.automatic) this.complete(id);
    });
  }
  complete(id: number): void {
    this.#store.put({ state: "pubrel", messageId: id, topic: "", payload: new Uint8Array(0) }, -1, () =>
      this.#store.remove(id),
    );
  }
  setUp(up: boolean): void {
    this.#listener(up);
  }
  onState(listener: (up: boolean) => void): () => void {
    this.#listener = listener;
    return () => {};
  }
  async close(): Promise<void> {}
}

async function started(inFlightMax = 64) {
  const world = new GatewayWorld();
  const links: FakeLink[] = [];
  const forwarder = {
    target: "mqtt://elsewhere",
    inFlightMax,
    link: (store: PacketStore) => {
      const link = new FakeLink(store);
      links.push(link);
      return link;
    },
  };
  await world.open({ forwarder });
  const device = await world.device("pot");
  device.connect();
  await world.clock.advance(20);
  return { world, device, links, forwarder, link: () => links.at(-1) as FakeLink };
}

describe("forwarder", () => {
  test("every kind of stored message goes out once, in order", async () => {
    const { world, device, link } = await started();
    link().setUp(true);
    device.telemetry([1, 2]);
    device.event("opened", true);
    device.log("text");
    device.error(214);
    await world.clock.advance(100);
    device.raw({ kind: "drop", boot: 1, seq: 9, uptimeUs: 0, from: 5, readings: 4 });
    await world.clock.advance(100);
    expect(link().sent.map(({ body }) => body.type)).toEqual(["telemetry", "event", "log", "error", "drop"]);
    expect(link().sent[0]).toMatchObject({
      topic: "tardi/lab/pot/telemetry",
      body: {
        device: "pot",
        boot: 1,
        seq: 1,
        readings: [{ metric: "temperature", unit: "Cel", value: 1 }, {}],
      },
    });
    // What several devices did can be put in order where it arrives.
    const stamps = link()
      .sent.slice(1, 4)
      .map(({ body }) => [body.hlcFrom, BigInt(body.hlc as string)]);
    expect(stamps.map(([from]) => from)).toEqual(["device", "device", "device"]);
    expect(stamps[1]?.[1]).toBeGreaterThan(stamps[0]?.[1] as never);
    const { forwarder } = world.gateway.info();
    expect(forwarder).toMatchObject({ connected: true, forwarded: 5, target: "mqtt://elsewhere" });
    expect(world.gateway.health().checks.map((check) => check.name)).toContain("forwarder");
  });

  test("a histogram goes on as it came, for others to merge", async () => {
    const { world, device, link } = await started();
    link().setUp(true);
    using measured = histogram({ bits: 3 });
    for (const value of [90, 100, 4000]) measured.record(value);
    device.histogram(0, measured.toBytes());
    await world.clock.advance(100);
    const [sent] = link().sent;
    expect(sent?.body).toMatchObject({
      type: "telemetry",
      seq: 1,
      readings: [],
      histogram: { metric: "temperature" },
    });
    const { bytes } = (sent as NonNullable<typeof sent>).body.histogram as { readonly bytes: string };
    using loaded = histogramFromBytes(Buffer.from(bytes, "hex"));
    expect([loaded.total, loaded.max, loaded.mean]).toEqual([3, 4000, measured.mean]);
  });

  test("in flight is bounded; what waits stays in the log, and that is told", async () => {
    const { world, device, link } = await started(4);
    link().automatic = false;
    link().setUp(true);
    for (let at = 0; at < 10; at += 1) device.telemetry([at]);
    await world.clock.advance(100);
    expect(link().sent).toHaveLength(4);
    expect(world.gateway.info().forwarder?.backlogBytes).toBeGreaterThan(0);
    await world.clock.advance(20_000);
    expect(world.gateway.alerts()).toMatchObject([{ code: "FORWARD_BLOCKED" }]);
    expect(world.gateway.health().state).toBe("degraded");
    link().automatic = true;
    for (const { id } of [...link().sent]) link().complete(id);
    await world.clock.advance(200);
    expect(link().sent.map(({ body }) => body.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(world.gateway.alerts()[0]?.clearedMs).toBeDefined();
  });

  test("after a power cut it goes on behind what became a packet", async () => {
    const { world, device, link, forwarder } = await started();
    link().automatic = false;
    link().setUp(true);
    for (let at = 0; at < 5; at += 1) device.telemetry([at]);
    await world.clock.advance(100);
    expect(link().sent).toHaveLength(5);
    await world.crash("power", { forwarder });
    link().setUp(true);
    device.telemetry([9]);
    await world.clock.advance(100);
    expect(link().sent.map(({ body }) => body.seq)).toEqual([6]);
  });

  test("without a link nothing is lost: the log waits", async () => {
    const { world, device, link, forwarder } = await started();
    for (let at = 0; at < 5; at += 1) device.telemetry([at]);
    await world.clock.advance(100);
    expect(link().sent).toEqual([]);
    await world.crash("power", { forwarder });
    link().setUp(true);
    await world.clock.advance(100);
    expect(link().sent).toHaveLength(5);
  });
});

describe("forwarder's journal", () => {
  function made(seed = 1, compactBytes?: number) {
    const clock = new SimulatedClock();
    const random = seededRandom(seed);
    const disk = new SimulatedDisk({ random, clock, syncMs: 1 });
    const failures: Error[] = [];
    const open = async (): Promise<ForwarderJournal> => {
      const opening = openForwarderJournal({
        disk: disk.mount(),
        folder: "a/forwarder",
        clock,
        random,
        onRemoved: () => {},
        onFailed: (error) => failures.push(error),
        ...(compactBytes === undefined ? {} : { compactBytes }),
      });
      await clock.advance(50);
      return opening;
    };
    return { clock, disk, open, failures };
  }
  const packet = (messageId: number, text = "x"): OutgoingPacket => ({
    state: "publish",
    messageId,
    topic: `t/${messageId}`,
    payload: new TextEncoder().encode(text),
  });
  const release = (messageId: number): OutgoingPacket => ({
    state: "pubrel",
    messageId,
    topic: "",
    payload: new Uint8Array(0),
  });
  const outstanding = (journal: ForwarderJournal): string[] => {
    let list: string[] = [];
    journal.outstanding((packets) => {
      list = packets.map(({ state, messageId }) => `${state} ${messageId}`);
    });
    return list;
  };

  test("it calls back when on disk, and finds it after a power cut, in order", async () => {
    const { clock, disk, open } = made();
    await disk.makeFolder("a");
    const journal = await open();
    const done: number[] = [];
    for (const id of [5, 3, 9]) journal.put(packet(id), id * 10, () => done.push(id));
    expect(done).toEqual([]);
    await clock.advance(20);
    expect(done).toEqual([5, 3, 9]);
    journal.put(release(3), -1, () => done.push(-3));
    journal.put(packet(7), 100, () => done.push(7));
    await clock.advance(20);
    journal.remove(5);
    await clock.advance(20);
    disk.powerCut();
    const again = await open();
    expect(outstanding(again)).toEqual(["pubrel 3", "publish 9", "publish 7"]);
    expect(again.lastOffset).toBe(100);
    expect(again.get(9)).toMatchObject({ topic: "t/9" });
    await again.close();
  });

  test("a receipt that comes again after the flow was complete leaves nothing", async () => {
    const { clock, disk, open } = made();
    await disk.makeFolder("a");
    const journal = await open();
    let called = false;
    journal.put(release(4), -1, () => {
      called = true;
    });
    await clock.advance(5);
    expect(called).toBe(true);
    expect(journal.outstandingCount).toBe(0);
    journal.remove(4);
  });

  test("it is written anew when it has grown, and stays whole", async () => {
    const { clock, disk, open } = made(3, 4096);
    await disk.makeFolder("a");
    const journal = await open();
    for (let id = 1; id <= 200; id += 1) {
      journal.put(packet(id, "x".repeat(100)), id, () => {});
      if (id > 3) journal.remove(id - 3);
      if (id % 7 === 0) await clock.advance(3);
    }
    await clock.advance(100);
    expect(disk.peek("a/forwarder/journal").length).toBeLessThan(12_000);
    disk.powerCut();
    const again = await open();
    expect(outstanding(again)).toEqual(["publish 198", "publish 199", "publish 200"]);
    expect(again.lastOffset).toBe(200);
  });

  test("on a full disk it waits for room, a failed sync ends it", async () => {
    const { clock, disk, open, failures } = made();
    await disk.makeFolder("a");
    const journal = await open();
    disk.capacityBytes = disk.usedBytes;
    const done: string[] = [];
    journal.put(packet(1, "x".repeat(10_000)), 1, (error) =>
      done.push(error === undefined ? "ok" : "failed"),
    );
    await clock.advance(3000);
    expect(done).toEqual([]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await clock.advance(3000);
    expect(done).toEqual(["ok"]);
    disk.failSyncs();
    journal.put(packet(2), 2, (error) => done.push(error === undefined ? "ok" : "failed"));
    await clock.advance(10);
    journal.put(packet(3), 3, (error) => done.push(error === undefined ? "ok" : "failed"));
    expect(done).toEqual(["ok", "failed", "failed"]);
    expect(failures).toHaveLength(1);
  });

  test("a damaged header counts as no journal", async () => {
    const { disk, open } = made();
    await disk.makeFolder("a");
    await (await open()).close();
    disk.corrupt("a/forwarder/journal", 4, 2);
    const journal = await open();
    expect(journal.lastOffset).toBe(-1);
  });
});
