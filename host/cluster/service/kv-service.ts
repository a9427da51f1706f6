/**
 * What a node does for one client: requests in, responses out, as bytes (protocol.ts). Commands and changes of members are the leader's;
 * reads and watches any node serves. What is asked wrongly is answered with a code and harms nothing else.
 */
import { isTardigradeError, TardigradeError } from "../../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";
import { u16At, u32At } from "../bytes.ts";
import { CommandReader } from "../kv/command-reader.ts";
import { READ_KEYS_MAX } from "../kv/read.ts";
import { KV_OPS, type KvResults, RESULT_BYTES } from "../kv/result.ts";
import type { Watcher } from "../kv/watch.ts";
import { isReserved, type KvNode, type NodeRole, RESERVED, RESERVED_END } from "../kv-node.ts";
import {
  CLIENT_PROTOCOL_VERSION,
  decodeRange,
  encodeEvents,
  encodeItems,
  encodeResponse,
  KIND,
  MORE,
  REQUEST_HEAD_BYTES,
  textOf,
} from "./protocol.ts";

/** Requests of one client that may be under way; beyond it they are refused with QUEUE_FULL. */
export const CLIENT_REQUESTS_MAX = 4_096;
/** Watches of one client. */
export const CLIENT_WATCHES_MAX = 256;
const EVENTS_A_RESPONSE = 256;
const SNAPSHOT_CHUNK_BYTES = 262_144;
const utf8 = new TextEncoder();

interface Asked {
  readonly id: number;
  readonly kind: number;
}

export interface ClientSide {
  /** The bytes are the callee's. */
  send(response: Uint8Array): void;
  /** False while so much waits that watches should not add to it. */
  isClear(): boolean;
  /** To be ended: it does not speak this protocol. */
  end(code: ErrorCode): void;
}

export class KvClientSession {
  readonly #node: KvNode;
  readonly #client: ClientSide;
  readonly #watches = new Map<number, Watcher>();
  readonly #command = new CommandReader();
  #greeted = false;
  #underWay = 0;
  #closed = false;

  constructor(node: KvNode, client: ClientSide) {
    this.#node = node;
    this.#client = client;
  }

  /** `request` is read within the call. */
  handle(request: Uint8Array): void {
    if (request.length < REQUEST_HEAD_BYTES || u16At(request, 6) !== 0) {
      this.#client.end("PEER_HELLO");
      return;
    }
    const asked = { id: u32At(request, 0), kind: request[4] as number };
    const isHello = asked.kind === KIND.hello;
    if (isHello === this.#greeted) {
      this.#client.end("PEER_HELLO");
      return;
    }
    try {
      this.#dispatch(asked, request);
    } catch (error) {
      this.#refuse(asked, error);
    }
  }

  /** The client is gone. */
  close(): void {
    this.#closed = true;
    for (const watcher of this.#watches.values()) watcher.close();
    this.#watches.clear();
  }

  /** The client takes more: watches go on. */
  clear(): void {
    for (const [id, watcher] of this.#watches) this.#push(id, watcher);
  }

  #dispatch(asked: Asked, request: Uint8Array): void {
    switch (asked.kind) {
      case KIND.hello:
        this.#hello(asked, request);
        return;
      case KIND.command:
        this.#propose(asked, request);
        return;
      case KIND.get: {
        const key = textOf(request.subarray(REQUEST_HEAD_BYTES));
        if (key === undefined) throw invalid("the key is no UTF-8");
        this.#read(asked, () => {
          const { machine } = this.#node;
          const item = machine.get(key);
          return { body: encodeItems(machine.revision, item === undefined ? [] : [item]) };
        });
        return;
      }
      case KIND.range: {
        const range = decodeRange(request);
        if (range === undefined || range.limit > READ_KEYS_MAX) throw invalid("the range is none");
        const { from, to, reverse, limit } = range;
        this.#read(asked, () => {
          const { items, revision, more } = this.#node.machine.range({
            ...{ from, to, reverse },
            limit: limit === 0 ? READ_KEYS_MAX : limit,
          });
          return { body: encodeItems(revision, items), flags: more ? MORE : 0 };
        });
        return;
      }
      case KIND.watch:
        this.#watch(asked, request);
        return;
      case KIND.cancel:
        this.#cancel(asked, request);
        return;
      case KIND.status:
        this.#answer(asked, { body: utf8.encode(JSON.stringify(this.#node.status)) });
        return;
      case KIND.change:
        this.#change(asked, request);
        return;
      case KIND.snapshot:
        void this.#snapshot(asked);
        return;
      default:
        throw new TardigradeError("ARGUMENT", `Requests have no kind ${asked.kind}; update this node.`);
    }
  }

  #hello(asked: Asked, request: Uint8Array): void {
    if (
      request.length < REQUEST_HEAD_BYTES + 2 ||
      u16At(request, REQUEST_HEAD_BYTES) !== CLIENT_PROTOCOL_VERSION
    ) {
      this.#refuse(asked, new TardigradeError("PEER_VERSION", "The client speaks another version."));
      this.#client.end("PEER_VERSION");
      return;
    }
    this.#greeted = true;
    const body = new Uint8Array(4);
    new DataView(body.buffer).setUint32(0, this.#node.id, true);
    this.#answer(asked, { body });
  }

  #propose(asked: Asked, request: Uint8Array): void {
    const command = request.subarray(REQUEST_HEAD_BYTES);
    this.#mustBeAllowed(command);
    this.#begin();
    try {
      this.#node.propose(command, {
        applied: (results, slot) => this.#applied(asked, results, slot),
        failed: (error) => {
          this.#underWay -= 1;
          this.#refuse(asked, error);
        },
      });
    } catch (error) {
      this.#underWay -= 1;
      throw error;
    }
  }

  #applied(asked: Asked, results: KvResults, slot: number): void {
    this.#underWay -= 1;
    const at = slot * RESULT_BYTES;
    this.#answer(asked, { body: results.bytes.subarray(at, at + RESULT_BYTES) });
  }

  /** Clients do not write the cluster's own keys, nor give the log its time. */
  #mustBeAllowed(bytes: Uint8Array): void {
    const command = this.#command;
    if (command.read(bytes) !== 0) return;
    if (command.op === KV_OPS.tick) throw reserved("ticks are the leader's");
    const isKey = command.op === KV_OPS.put || command.op === KV_OPS.delete;
    if (isKey && isReserved(command.key))
      throw reserved(`keys that begin with ${RESERVED} are the cluster's`);
    if (command.op !== KV_OPS["delete-range"]) return;
    if (command.key < RESERVED_END && (command.to === "" || command.to > RESERVED))
      throw reserved(`the range holds keys that begin with ${RESERVED}, which are the cluster's`);
  }

  #read(asked: Asked, read: () => { readonly body: Uint8Array; readonly flags?: number }): void {
    this.#begin();
    this.#node.driver.read().then(
      () => {
        this.#underWay -= 1;
        try {
          this.#answer(asked, read());
        } catch (error) {
          this.#refuse(asked, error);
        }
      },
      (error: unknown) => {
        this.#underWay -= 1;
        this.#refuse(asked, error);
      },
    );
  }

  // ---- watches

  #watch(asked: Asked, request: Uint8Array): void {
    const range = decodeRange(request);
    if (range === undefined) throw invalid("the watch is none");
    if (this.#watches.size >= CLIENT_WATCHES_MAX || this.#watches.has(asked.id))
      throw new TardigradeError("KV_WATCHERS_FULL", `A client has at most ${CLIENT_WATCHES_MAX} watches.`);
    const watcher = this.#node.watch({
      ...{ from: range.from, to: range.to },
      ...(range.fromRevision === 0 ? {} : { fromRevision: range.fromRevision }),
      onReady: () => this.#push(asked.id, watcher),
    });
    this.#watches.set(asked.id, watcher);
    // That it began, and what has happened since.
    this.#answer(asked, { flags: MORE });
    this.#push(asked.id, watcher);
  }

  #push(id: number, watcher: Watcher): void {
    if (this.#closed || this.#watches.get(id) !== watcher) return;
    const asked = { id, kind: KIND.watch };
    while (watcher.queued > 0 && this.#client.isClear())
      this.#answer(asked, { flags: MORE, body: encodeEvents(watcher.take(EVENTS_A_RESPONSE)) });
    const { ended } = watcher;
    if (ended === undefined || ended === "closed") return;
    this.#watches.delete(id);
    this.#answer(asked, { code: ERRORS[ended].number });
  }

  #cancel(asked: Asked, request: Uint8Array): void {
    if (request.length !== REQUEST_HEAD_BYTES + 4) throw invalid("the cancellation names no watch");
    const id = u32At(request, REQUEST_HEAD_BYTES);
    this.#watches.get(id)?.close();
    this.#watches.delete(id);
    this.#answer(asked, {});
  }

  // ---- the cluster

  #change(asked: Asked, request: Uint8Array): void {
    const change = parseChange(textOf(request.subarray(REQUEST_HEAD_BYTES)));
    if (change.do === "transfer") {
      this.#node.driver.transfer(change.id);
      this.#answer(asked, {});
      return;
    }
    if (change.do === "remove") {
      this.#node.remove(change.id);
      this.#answer(asked, {});
      return;
    }
    this.#add(asked, change);
  }

  #add(asked: Asked, { id, role, addresses }: Addition): void {
    this.#begin();
    const announced = addresses === undefined ? Promise.resolve() : this.#node.announce(id, addresses);
    announced
      .then(() => this.#node.add(id, role))
      .then(
        () => {
          this.#underWay -= 1;
          this.#answer(asked, {});
        },
        (error: unknown) => {
          this.#underWay -= 1;
          this.#refuse(asked, error);
        },
      );
  }

  async #snapshot(asked: Asked): Promise<void> {
    try {
      await this.#node.driver.read();
      // Whole before it is sent: no batch may be applied in between.
      const chunks = [...this.#node.machine.snapshot(SNAPSHOT_CHUNK_BYTES)];
      for (const body of chunks) this.#answer(asked, { flags: MORE, body });
      this.#answer(asked, {});
    } catch (error) {
      this.#refuse(asked, error);
    }
  }

  // ---- answers

  #begin(): void {
    if (this.#underWay >= CLIENT_REQUESTS_MAX)
      throw new TardigradeError(
        "QUEUE_FULL",
        `A client has at most ${CLIENT_REQUESTS_MAX} requests under way.`,
      );
    this.#underWay += 1;
  }

  #answer(
    asked: Asked,
    answer: { readonly body?: Uint8Array; readonly flags?: number; readonly code?: number },
  ): void {
    if (this.#closed) return;
    this.#client.send(encodeResponse(asked, { ...answer, leader: this.#node.leader }));
  }

  #refuse(asked: Asked, error: unknown): void {
    if (this.#closed) return;
    const code: ErrorCode = isTardigradeError(error)
      ? error.code
      : error instanceof RangeError
        ? "ARGUMENT"
        : "INTERNAL";
    const { leader } = this.#node;
    const isRedirect = code === "RAFT_NOT_LEADER" && leader !== this.#node.id && !this.#node.isStopped;
    const address = isRedirect ? this.#node.clientAddress(leader) : undefined;
    this.#answer(asked, {
      code: ERRORS[code].number,
      ...(address === undefined ? {} : { body: utf8.encode(address) }),
    });
  }
}

interface Addition {
  readonly do: "add";
  readonly id: number;
  readonly role: NodeRole;
  readonly addresses?: { readonly peer: string; readonly client: string };
}
type Change =
  | Addition
  | { readonly do: "remove"; readonly id: number }
  | { readonly do: "transfer"; readonly id: number };

const ROLES = ["voter", "learner"] as const satisfies readonly NodeRole[];

function parseChange(json: string | undefined): Change {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json ?? "") as Record<string, unknown>;
  } catch {
    throw invalid("the change is no JSON");
  }
  const { do: what, id } = value;
  if (typeof id !== "number" || id !== id >>> 0 || id === 0)
    throw invalid("a node's id is from 1 to 2^32 - 1");
  if (what === "remove") return { do: "remove", id };
  if (what === "transfer") return { do: "transfer", id };
  const role = ROLES.find((known) => known === value.role);
  if (what !== "add" || role === undefined) throw invalid("a change adds, removes or transfers");
  const addresses = value.addresses as { peer?: unknown; client?: unknown } | undefined;
  if (addresses === undefined) return { do: "add", id, role };
  const { peer, client } = addresses;
  if (typeof peer !== "string" || typeof client !== "string") throw invalid("addresses are texts");
  return { do: "add", id, role, addresses: { peer, client } };
}

function invalid(what: string): TardigradeError {
  return new TardigradeError("ARGUMENT", `The request cannot be read: ${what}.`);
}

function reserved(what: string): TardigradeError {
  return new TardigradeError("KV_RESERVED", `The command is not a client's to give: ${what}.`);
}
