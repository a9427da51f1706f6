/** Connections of simulated clients: in order while they last, broken when the node dies or, now and then, by the network; silent where a way is cut. */
import type { KvChannel, OpenKvChannel } from "../../cluster/client/channel.ts";
import { KvClientSession } from "../../cluster/service/kv-service.ts";
import type { SimulatedClock } from "../clock.ts";
import type { PeerNetwork } from "../peer-network.ts";
import type { SeededRandom } from "../random.ts";
import type { SimulatedNode } from "./simulated-node.ts";

/** Of the messages that the weather loses, so many break the connection; TCP sends the others again. */
const BREAKING_SHARE = 0.1;
/** A connection that carries nothing is given up. */
const STUCK_MS = 1_000;

export function addressOf(id: number): string {
  return `node-${id}:1`;
}

export function simulatedChannels(parts: {
  readonly network: PeerNetwork;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly processes: ReadonlyMap<number, SimulatedNode>;
  /** The client's host, beside the nodes'. */
  readonly host: number;
}): OpenKvChannel {
  const { network, clock, random, processes, host } = parts;
  return async (address) => {
    const id = Number(/^node-([0-9]+):1$/.exec(address)?.[1]);
    await new Promise<void>((resolve) => clock.alarm(1 + random.unit(), resolve));
    const member = processes.get(id);
    const node = member?.node;
    if (member === undefined || node === undefined || network.isCut(host, id))
      throw new Error("nobody answers there");
    const { life } = member;
    const isAlive = (): boolean => member.life === life && member.isUp;
    let open = true;
    let onResponse: (response: Uint8Array) => void = () => undefined;
    const closeListeners = new Set<() => void>();
    const end = (): void => {
      if (!open) return;
      open = false;
      session.close();
      for (const listener of closeListeners) listener();
    };
    let isStuck = false;
    /** What cannot come through holds up what is behind it, until one side gives up. */
    const stick = (): void => {
      if (isStuck) return;
      isStuck = true;
      clock.alarm(STUCK_MS, end);
    };
    /** In order: nothing overtakes what was sent before. */
    const way = (from: number, to: number, deliver: (message: Uint8Array) => void) => {
      let notBeforeMs = 0;
      return (message: Uint8Array): void => {
        const { loss, delayMsMin, delayMsMax } = network.weather;
        if (loss > 0 && random.chance(loss * BREAKING_SHARE)) {
          stick();
          return;
        }
        const copy = message.slice();
        notBeforeMs = Math.max(
          notBeforeMs,
          clock.monotonicMs() + delayMsMin + random.unit() * (delayMsMax - delayMsMin),
        );
        clock.alarm(notBeforeMs - clock.monotonicMs(), () => {
          if (!open) return;
          if (!isAlive()) end();
          else if (isStuck || network.isCut(from, to)) stick();
          else deliver(copy);
        });
      };
    };
    const toClient = way(id, host, (response) => onResponse(response));
    const session = new KvClientSession(node, { send: toClient, isClear: () => true, end });
    const toNode = way(host, id, (request) => member.run(() => session.handle(request)));
    const channel: KvChannel = {
      send: toNode,
      onResponse: (listener) => {
        onResponse = listener;
        return () => {
          onResponse = () => undefined;
        };
      },
      onClose: (listener) => {
        closeListeners.add(listener);
        return () => closeListeners.delete(listener);
      },
      close: () => {
        closeListeners.clear();
        end();
      },
    };
    return channel;
  };
}
