/**
 * A bound on what the embedded broker keeps for a persistent session. aedes' memory persistence queues QoS 1 and 2 messages
 * without a limit (aedes-persistence 10.3, `outgoingEnqueueCombi`): one client that subscribes to everything and leaves, or
 * reads and never acknowledges, would grow the process until it dies. At the bound a message is not kept for that client; a
 * connected one gets it all the same, once.
 */

interface Client {
  readonly id: string;
}
interface Subscriber {
  readonly clientId: string;
}

/** The part of a persistence that fills and empties the queues. */
export interface OutgoingQueues {
  outgoingEnqueue(subscriber: Subscriber, packet: object): Promise<void>;
  outgoingEnqueueCombi(subscribers: Subscriber[], packet: object): Promise<void>;
  outgoingUpdate(client: Client, packet: object): Promise<void>;
  outgoingClearMessageId(client: Client, packet: object): Promise<object | undefined>;
}

export interface QueueBound {
  /** Kept for one client. */
  readonly messagesMax: number;
  /** A message was not kept for a client. */
  readonly onDropped: () => void;
}

/** Replaces the methods of this instance. */
export function boundQueues(queues: OutgoingQueues, { messagesMax, onDropped }: QueueBound): void {
  const counts = new Map<string, number>();
  const enqueue = queues.outgoingEnqueueCombi.bind(queues);
  const update = queues.outgoingUpdate.bind(queues);
  const clear = queues.outgoingClearMessageId.bind(queues);
  queues.outgoingEnqueueCombi = (subscribers, packet) => {
    const taking = subscribers.filter(({ clientId }) => {
      const count = counts.get(clientId) ?? 0;
      if (count < messagesMax) counts.set(clientId, count + 1);
      else onDropped();
      return count < messagesMax;
    });
    return enqueue(taking, packet);
  };
  queues.outgoingEnqueue = (subscriber, packet) => queues.outgoingEnqueueCombi([subscriber], packet);
  // Rejects when there is no such packet, which would end the client's connection; it was not kept, and that is all.
  queues.outgoingUpdate = (client, packet) => update(client, packet).catch(() => undefined);
  queues.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    if (cleared === undefined) return undefined;
    const count = (counts.get(client.id) ?? 0) - 1;
    if (count > 0) counts.set(client.id, count);
    else counts.delete(client.id);
    return cleared;
  };
}
