import { describe, expect, test } from "vitest";
import { CLIENTS_MAX, HEARTBEAT_MS, QUEUE_EVENTS_MAX } from "../../../host/api/event-stream.ts";
import { type ApiRig, apiRig } from "../../support/api-rig.ts";
import { device, readings } from "../../support/fake-service.ts";
import { type SseClient, sseClient } from "../../support/sse-client.ts";

/** A client whose subscription stands. */
async function follow(rig: ApiRig, path = "/api/events", headers = {}): Promise<SseClient> {
  const before = rig.service.listenerCount;
  const client = sseClient(rig.api.port, path, headers);
  await client.until(() => client.head !== "" && rig.service.listenerCount > before);
  return client;
}

const ids = (client: SseClient) => client.events.map((event) => event.id);
const metric = async (rig: ApiRig, name: string) =>
  (await rig.metrics.metricsText()).split("\n").filter((line) => line.startsWith(name));

describe("the event stream", () => {
  test("tells what happens, with the offset as id", async () => {
    await using rig = await apiRig();
    const client = await follow(rig);
    expect(client.head).toContain("200 OK");
    expect(client.head).toContain("content-type: text/event-stream");
    rig.service.tell(readings(7, 21.5));
    await client.until(() => client.events.length === 1);
    expect(client.events).toEqual([{ id: "7", event: "readings", data: JSON.stringify(readings(7, 21.5)) }]);
    expect(await metric(rig, "tardigrade_sse_clients")).toEqual(["tardigrade_sse_clients 1"]);
    client.close();
    while (rig.service.listenerCount > 0) await rig.clock.settle();
    expect(await metric(rig, "tardigrade_sse_c")).toEqual([
      "tardigrade_sse_clients 0",
      'tardigrade_sse_closed_total{reason="client"} 1',
    ]);
  });

  test("resumes behind Last-Event-ID, which wins over from", async () => {
    await using rig = await apiRig();
    for (let offset = 0; offset < 6; offset += 1) rig.service.tell(readings(offset * 10));
    const resumed = await follow(rig, "/api/events?from=0", { "last-event-id": "30" });
    rig.service.tell(readings(60));
    await resumed.until(() => resumed.events.length === 3);
    expect(ids(resumed)).toEqual(["40", "50", "60"]);
    const begun = await follow(rig, "/api/events?from=50", { "last-event-id": "" });
    await begun.until(() => begun.events.length === 2);
    expect(ids(begun)).toEqual(["50", "60"]);
    for (const client of [resumed, begun]) client.close();
  });

  test("gives the id to the last event of a record only, so that a cut between them loses none", async () => {
    await using rig = await apiRig();
    const client = await follow(rig);
    rig.service.tell({ type: "device", offset: 8, device: device("gh-1") });
    rig.service.tell(readings(8));
    rig.service.tell(readings(9));
    // Told late, of a record before: it must not take the id back.
    rig.service.tell({ type: "device", offset: 5, device: device("gh-2") });
    await client.until(() => client.events.length === 4);
    expect(client.events.map(({ id, event }) => [event, id])).toEqual([
      ["device", undefined],
      ["readings", "8"],
      ["readings", "9"],
      ["device", undefined],
    ]);
    client.close();
  });

  test("keeps a quiet connection alive", async () => {
    await using rig = await apiRig();
    const client = await follow(rig);
    await rig.clock.advance(HEARTBEAT_MS - 1);
    expect(client.comments).toEqual([]);
    await rig.clock.advance(1);
    await client.until(() => client.comments.length === 1);
    await rig.clock.advance(HEARTBEAT_MS);
    await client.until(() => client.comments.length === 2);
    expect(client.comments).toEqual(["heartbeat", "heartbeat"]);
    client.close();
  });

  test("closes a client that does not read, says why and counts it; others go on", async () => {
    await using rig = await apiRig();
    const slow = await follow(rig);
    const quick = await follow(rig);
    slow.socket.pause();
    const text = "x".repeat(32_768);
    let offset = 0;
    while (rig.service.listenerCount > 1) {
      rig.service.tell(readings(offset, 1, text));
      offset += 1;
      if (offset > 2000) throw new Error("the slow client was never closed");
      await quick.until(() => quick.events.length === offset);
    }
    expect(await metric(rig, "tardigrade_sse_closed_total")).toEqual([
      'tardigrade_sse_closed_total{reason="slow"} 1',
    ]);
    expect(rig.lines.filter((line) => line.level === "warn")).toHaveLength(1);
    // What was written before is there, then the reason; the id to resume from is the last one read.
    slow.socket.resume();
    await slow.ended;
    const reason = slow.events.at(-1);
    expect(reason?.event).toBe("closed");
    expect(JSON.parse(reason?.data ?? "").error.code).toBe("QUEUE_FULL");
    expect(reason?.id).toBeUndefined();
    expect(ids(slow).slice(0, -1)).toEqual(Array.from({ length: offset }, (_, at) => String(at)));
    quick.close();
  });

  test("a client that never reads again is cut after a while", async () => {
    await using rig = await apiRig();
    const slow = await follow(rig);
    slow.socket.pause();
    const text = "x".repeat(32_768);
    for (let offset = 0; rig.service.listenerCount > 0; offset += 1) {
      rig.service.tell(readings(offset, 1, text));
      if (offset > 2000) throw new Error("the slow client was never closed");
      await rig.clock.settle();
    }
    await rig.clock.advance(1000);
    slow.socket.resume();
    await slow.ended;
    // Cut before the reason could be sent.
    expect(slow.events.some((event) => event.event === "closed")).toBe(false);
  });

  test("ends a client that more is told at once than a queue may hold", async () => {
    await using rig = await apiRig();
    const client = await follow(rig);
    for (let offset = 0; offset <= QUEUE_EVENTS_MAX; offset += 1) rig.service.tell(readings(offset));
    expect(rig.service.listenerCount).toBe(0);
    await client.ended;
    expect(client.events.map((event) => event.event)).toEqual(["closed"]);
  });

  test("is for so many clients at a time", async () => {
    await using rig = await apiRig();
    const clients = await Promise.all(
      Array.from({ length: CLIENTS_MAX }, () => sseClient(rig.api.port, "/api/events")),
    );
    for (const client of clients) await client.until(() => client.head !== "");
    const { status, json } = await rig.ask("/api/events");
    expect([status, json.error.code]).toEqual([503, "QUEUE_FULL"]);
    for (const client of clients) client.close();
    while (rig.service.listenerCount > 0) await rig.clock.settle();
    (await follow(rig)).close();
  });

  test("says that the gateway stops", async () => {
    const rig = await apiRig();
    const client = await follow(rig);
    await rig.api.close();
    await client.ended;
    expect(client.events.at(-1)).toMatchObject({
      event: "closed",
      data: expect.stringContaining("SHUTDOWN"),
    });
  });

  test("ends when the service cannot tell", async () => {
    await using rig = await apiRig();
    rig.service.events = () => {
      throw new Error("no log");
    };
    const client = sseClient(rig.api.port, "/api/events");
    await client.ended;
    expect(client.events.at(-1)?.data).toContain("INTERNAL");
    expect(rig.lines.at(-1)).toMatchObject({ level: "error" });
  });

  test("refuses an id that is no offset", async () => {
    await using rig = await apiRig();
    for (const id of ["-1", "1.5", "x", "9".repeat(16)]) {
      const { status, json } = await rig.ask("/api/events", { headers: { "last-event-id": id } });
      expect([id, status, json.error.code]).toEqual([id, 400, "REQUEST_INVALID"]);
    }
    expect((await rig.ask("/api/events?from=x")).status).toBe(400);
  });
});
