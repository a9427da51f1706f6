/**
 * One suite for every Broker: embedded, external through a client, simulated. Deliveries may take their time,
 * so the suite waits for conditions; `until` lets real or simulated time go on.
 */
import { describe, expect, test } from "vitest";
import type { Broker, Delivery } from "../../host/io/seams.ts";

export interface BrokerSubject {
  readonly broker: Broker;
  /** Prefix for this subject's topics, so that a broker may be shared between tests. */
  readonly prefix: string;
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

const text = new TextDecoder();
const show = (delivery: Delivery) =>
  `${delivery.topic.split("/").slice(1).join("/")}=${text.decode(delivery.payload)}`;

export function brokerSuite(name: string, make: () => Promise<BrokerSubject>): void {
  describe(`Broker: ${name}`, () => {
    test("delivers to the filters that match, in order, text and bytes alike", async () => {
      const { broker, prefix, until, close } = await make();
      const plus: string[] = [];
      const hash: string[] = [];
      await broker.subscribe(`${prefix}/+/up`, (delivery) => plus.push(show(delivery)));
      await broker.subscribe(`${prefix}/#`, (delivery) => hash.push(show(delivery)));
      broker.publish(`${prefix}/a/up`, "1", { qos: 1 });
      broker.publish(`${prefix}/a/down`, new Uint8Array([50]), { qos: 1 });
      broker.publish(`${prefix}/b/up`, "3", { qos: 1 });
      await until(() => hash.length >= 3 && plus.length >= 2);
      expect(hash).toEqual(["a/up=1", "a/down=2", "b/up=3"]);
      expect(plus).toEqual(["a/up=1", "b/up=3"]);
      await close();
    });

    test("gives a retained message to who subscribes later, until it is cleared", async () => {
      const { broker, prefix, until, close } = await make();
      broker.publish(`${prefix}/state`, "old", { retain: true, qos: 1 });
      broker.publish(`${prefix}/state`, "new", { retain: true, qos: 1 });
      const first: Delivery[] = [];
      await broker.subscribe(`${prefix}/state`, (delivery) => first.push(delivery));
      await until(() => first.some((delivery) => text.decode(delivery.payload) === "new"));
      expect(first.at(-1)?.retain).toBe(true);
      broker.publish(`${prefix}/state`, "", { retain: true, qos: 1 });
      await until(() => first.at(-1)?.payload.length === 0);
      const second: string[] = [];
      await broker.subscribe(`${prefix}/state`, (delivery) => second.push(show(delivery)));
      broker.publish(`${prefix}/state`, "live", { qos: 1 });
      await until(() => second.length > 0);
      expect(second).toEqual(["state=live"]);
      await close();
    });

    test("delivers nothing to a subscription that was disposed of", async () => {
      const { broker, prefix, until, close } = await make();
      const gone: string[] = [];
      const kept: string[] = [];
      const dispose = await broker.subscribe(`${prefix}/x`, (delivery) => gone.push(show(delivery)));
      await broker.subscribe(`${prefix}/+`, (delivery) => kept.push(show(delivery)));
      dispose();
      dispose();
      broker.publish(`${prefix}/x`, "1", { qos: 1 });
      await until(() => kept.length > 0);
      expect([gone, kept]).toEqual([[], ["x=1"]]);
      await close();
    });

    test("keeps nothing of the caller's bytes", async () => {
      const { broker, prefix, until, close } = await make();
      const seen: string[] = [];
      await broker.subscribe(`${prefix}/y`, (delivery) => seen.push(show(delivery)));
      const payload = new TextEncoder().encode("mine");
      broker.publish(`${prefix}/y`, payload, { qos: 1 });
      payload.fill(48);
      await until(() => seen.length > 0);
      expect(seen).toEqual(["y=mine"]);
      await close();
    });
  });
}
