/**
 * A client of the replicated key-value store. Its commands go through a session, so that one that is sent a second time, because its answer
 * was lost or its leader died, is applied once (Ongaro's thesis, 6.3). Reads are linearizable.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { encodeCommand, type KvCommand, type KvCondition } from "../kv/command.ts";
import type { KvEvent } from "../kv/events.ts";
import type { KvItem, KvRange, KvRangeOptions } from "../kv/read.ts";
import { decodeResult, type KvResult } from "../kv/result.ts";
import type { KvNodeStatus, NodeRole } from "../kv-node.ts";
import { decodeEvents, decodeItems, encodeRange, encodeRequest, MORE } from "../service/protocol.ts";
import { type Answer, Requests, type RequestsOptions } from "./requests.ts";

/** Commands that may be under way: as many as a session holds results of. */
const WINDOW = 1_000;
const utf8 = new TextEncoder();
const text = new TextDecoder();

export interface WriteResult {
  /** False when the condition did not hold; then nothing was changed. */
  readonly done: boolean;
  /** Of the store, after it. */
  readonly revision: number;
  /** Modification revision of the key before; 0 when there was none. */
  readonly previousRevision: number;
}

interface Watched {
  readonly keys: { readonly from: string; readonly to: string };
  readonly fromRevision?: number;
  /** Events come in the order of their revisions, once each. */
  onEvents(events: readonly KvEvent[]): void;
}

export class KvClient {
  readonly #requests: Requests;
  #session: Promise<number> | undefined;
  #sequence = 0;
  /** Sequences that are under way, in order. */
  readonly #outstanding = new Set<number>();
  #blocked: (() => void)[] = [];

  constructor(options: RequestsOptions) {
    this.#requests = new Requests(options);
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { readonly lease?: number; readonly when?: KvCondition } = {},
  ): Promise<WriteResult> {
    return writeResult(await this.#execute({ op: "put", key, value, ...options }));
  }

  /** Puts when the key's value is `expected`. */
  compareAndSet(key: string, expected: Uint8Array, value: Uint8Array): Promise<WriteResult> {
    return this.put(key, value, { when: { value: expected } });
  }

  async delete(key: string, when?: KvCondition): Promise<WriteResult> {
    return writeResult(await this.#execute({ op: "delete", key, ...(when === undefined ? {} : { when }) }));
  }

  /** Keys with from <= key < to, an empty `to` being the end; how many were deleted, and whether there are more. */
  async deleteRange(
    from: string,
    to: string,
    limit?: number,
  ): Promise<{ readonly count: number; readonly more: boolean; readonly revision: number }> {
    const command = { op: "delete-range", from, to, ...(limit === undefined ? {} : { limit }) } as const;
    const { count, more, revision } = mustBeOk(await this.#execute(command));
    return { count, more, revision };
  }

  async get(key: string): Promise<KvItem | undefined> {
    const { items } = itemsOf(await this.#ask(encodeRequest("get", utf8.encode(key))));
    return items[0];
  }

  async range({ from, to = "", limit = 0, reverse = false }: KvRangeOptions): Promise<KvRange> {
    const answer = await this.#ask(encodeRange("range", { from, to, limit, reverse, fromRevision: 0 }));
    return { ...itemsOf(answer), more: (answer.flags & MORE) !== 0 };
  }

  /** Resolves never; rejects when the watch ended: LINK_DOWN, KV_WATCH_SLOW, KV_COMPACTED. Go on behind the last revision that came. */
  async watch({ keys, fromRevision = 0, onEvents }: Watched): Promise<never> {
    const request = encodeRange("watch", { ...keys, limit: 0, reverse: false, fromRevision });
    await this.#requests.send(request, {
      isRepeatable: true,
      onPart: ({ body }) => {
        if (body.length > 0) onEvents(must(decodeEvents(body)));
      },
    });
    throw new TardigradeError("LINK_DOWN", "The node ended the watch.");
  }

  /** The lease's id, which is a fencing token: a later lease has a higher one. */
  async grantLease(ttlMs: number): Promise<number> {
    return mustBeOk(await this.#execute({ op: "lease-grant", ttlMs })).value;
  }
  /** Rejects with KV_REFUSED when the lease is over. */
  async keepAlive(lease: number): Promise<void> {
    mustBeOk(await this.#execute({ op: "lease-keep-alive", lease }));
  }
  async revokeLease(lease: number): Promise<void> {
    mustBeOk(await this.#execute({ op: "lease-revoke", lease }));
  }

  /** Of the node that answers. */
  async status(): Promise<KvNodeStatus> {
    const { body } = await this.#ask(encodeRequest("status"));
    return JSON.parse(text.decode(body)) as KvNodeStatus;
  }

  /** Resolves when the leader has proposed it. */
  async addNode(
    id: number,
    role: NodeRole,
    addresses?: { readonly peer: string; readonly client: string },
  ): Promise<void> {
    await this.#change({ do: "add", id, role, ...(addresses === undefined ? {} : { addresses }) });
  }
  async removeNode(id: number): Promise<void> {
    await this.#change({ do: "remove", id });
  }
  async transferLeadership(id: number): Promise<void> {
    await this.#change({ do: "transfer", id });
  }

  /** The store's state as a snapshot, from the node that answers. */
  async snapshot(onChunk: (chunk: Uint8Array) => void): Promise<void> {
    await this.#requests.send(encodeRequest("snapshot"), {
      isRepeatable: true,
      onPart: ({ body }) => onChunk(body),
    });
  }

  close(): void {
    this.#requests.close();
  }

  #ask(request: Uint8Array): Promise<Answer> {
    return this.#requests.send(request, { isRepeatable: true });
  }

  async #change(change: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#ask(encodeRequest("change", utf8.encode(JSON.stringify(change))));
  }

  async #execute(command: KvCommand): Promise<KvResult> {
    const session = this.#session ?? this.#openSession();
    const id = await session;
    // From the oldest that is under way: the store keeps results from there on.
    while (this.#sequence - (this.#oldest ?? this.#sequence) >= WINDOW)
      await new Promise<void>((resolve) => this.#blocked.push(resolve));
    this.#sequence += 1;
    const sequence = this.#sequence;
    this.#outstanding.add(sequence);
    try {
      const acknowledgedBelow = this.#oldest ?? sequence;
      const bytes = encodeCommand(command, { id, sequence, acknowledgedBelow });
      const { body } = await this.#requests.send(encodeRequest("command", bytes), { isRepeatable: true });
      const result = must(decodeResult(body));
      if (result.code !== "SESSION_EXPIRED") return result;
      if (this.#session === session) this.#session = undefined;
      throw new TardigradeError(
        "KV_SESSION_EXPIRED",
        "The store no longer knows this client's session; whether the command was applied before is not known.",
        { context: { component: "kv-client" } },
      );
    } finally {
      this.#outstanding.delete(sequence);
      const blocked = this.#blocked;
      this.#blocked = [];
      for (const go of blocked) go();
    }
  }

  get #oldest(): number | undefined {
    return this.#outstanding.values().next().value;
  }

  #openSession(): Promise<number> {
    // A session that is opened twice is one too many for a while, and harms nothing.
    const opened = this.#requests
      .send(encodeRequest("command", encodeCommand({ op: "session-open" })), { isRepeatable: true })
      .then(({ body }) => mustBeOk(must(decodeResult(body))).value);
    this.#session = opened;
    opened.catch(() => {
      if (this.#session === opened) this.#session = undefined;
    });
    return opened;
  }
}

function writeResult(result: KvResult): WriteResult {
  const { revision, value: previousRevision } = result;
  if (result.code === "CONDITION") return { done: false, revision, previousRevision };
  mustBeOk(result);
  return { done: true, revision, previousRevision };
}

function itemsOf({ body }: Answer): Omit<KvRange, "more"> {
  return must(decodeItems(body));
}

function mustBeOk(result: KvResult): KvResult {
  if (result.code === "OK") return result;
  throw new TardigradeError("KV_REFUSED", `The store did not do what was asked: ${result.code}.`, {
    context: { component: "kv-client", reason: result.code },
  });
}

function must<T>(value: T | undefined): T {
  if (value !== undefined) return value;
  throw new TardigradeError("PEER_VERSION", "The node's answer cannot be read; update this side.", {
    context: { component: "kv-client" },
  });
}
