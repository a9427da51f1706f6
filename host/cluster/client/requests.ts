/**
 * Requests of a client on their way to the cluster: sent on one connection at a time, and again where that ended or its node does not lead,
 * until they are answered or their time is over. A command is sent again only in a session, where a second copy is not applied again.
 *
 * ```
 *   idle --request--> connecting --hello answered--> up --closed, refused, silent--> waiting --back-off--> connecting
 * ```
 */
import { errorCodeOf, TardigradeError } from "../../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";
import type { Backoff } from "../../core/policy/backoff.ts";
import type { Clock, Dispose, Logger } from "../../io/seams.ts";
import { putU32, u16At, u32At } from "../bytes.ts";
import { encodeHello, KIND, MORE, RESPONSE_HEAD_BYTES, textOf } from "../service/protocol.ts";
import type { KvChannel, OpenKvChannel } from "./channel.ts";

export interface RequestsOptions {
  /** Addresses of nodes for clients; any of them will do. */
  readonly endpoints: readonly string[];
  readonly open: OpenKvChannel;
  readonly clock: Clock;
  /** Waits between two tries. */
  readonly backoff: Backoff;
  /** For a request, with all its tries; 10 s by default. */
  readonly timeoutMs?: number;
  /** A connection on which nothing is answered for so long is given up; 2 s by default. */
  readonly silenceMs?: number;
  readonly logger?: Logger;
}

export interface Answer {
  readonly flags: number;
  /** The answer's own. */
  readonly body: Uint8Array;
}

interface Request {
  readonly bytes: Uint8Array;
  /** May be sent a second time. */
  readonly isRepeatable: boolean;
  /** Of a watch or a snapshot, until it has begun. */
  deadlineMs: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  /** Of a watch or a snapshot: answers before the last. */
  readonly onPart: ((answer: Answer) => void) | undefined;
  /** One has come: to begin anew would give it twice. */
  hasBegun: boolean;
}

/** Where the request went wrong before anything was done: it is tried elsewhere. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(["RAFT_NOT_LEADER", "RAFT_NO_LEADER", "RAFT_STOPPED"]);
/** The node is right, and busy. */
const LATER: ReadonlySet<ErrorCode> = new Set([
  ...["RAFT_LOG_FULL", "RAFT_TRANSFERRING", "RAFT_NOT_READY", "QUEUE_FULL"],
] as ErrorCode[]);
const LOOK_MS = 100;

export class Requests {
  readonly #options: RequestsOptions;
  readonly #timeoutMs: number;
  readonly #silenceMs: number;
  readonly #underWay = new Map<number, Request>();
  #waiting: Request[] = [];
  #channel: KvChannel | undefined;
  #channelAlarm: Dispose = () => undefined;
  #lookAlarm: Dispose | undefined;
  #state: "idle" | "connecting" | "up" | "waiting" | "closed" = "idle";
  #attempt = 0;
  #endpoint = 0;
  #leader: string | undefined;
  #failures = 0;
  #waitMs = 0;
  #nextId = 1;
  #heardMs = 0;

  constructor(options: RequestsOptions) {
    if (options.endpoints.length === 0)
      throw new TardigradeError("ARGUMENT", "Name at least one node of the cluster.");
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#silenceMs = options.silenceMs ?? 2_000;
  }

  /** Requests that are not answered. */
  get pending(): number {
    return this.#underWay.size + this.#waiting.length;
  }

  /** Rejects with the code that a node refused with, TIMED_OUT, RAFT_OUTCOME_UNKNOWN, or LINK_DOWN after close(). */
  send(
    bytes: Uint8Array,
    options: { readonly isRepeatable: boolean; readonly onPart?: (answer: Answer) => void },
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#state === "closed") {
        reject(closedError());
        return;
      }
      const deadlineMs = this.#options.clock.monotonicMs() + this.#timeoutMs;
      const { isRepeatable, onPart } = options;
      this.#put({ bytes, isRepeatable, deadlineMs, resolve, reject, onPart, hasBegun: false });
    });
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#drop();
    this.#state = "closed";
    this.#lookAlarm?.();
    const all = [...this.#underWay.values(), ...this.#waiting];
    this.#underWay.clear();
    this.#waiting = [];
    for (const { reject } of all) reject(closedError());
  }

  #put(request: Request): void {
    // Keeps the process alive while something is asked; the others are in the background.
    this.#lookAlarm ??= this.#options.clock.alarm(LOOK_MS, () => this.#look());
    if (this.#state === "up") this.#transmit(request);
    else {
      this.#waiting.push(request);
      if (this.#state === "idle") this.#connect();
    }
  }

  #transmit(request: Request): void {
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_ffff) + 1;
    if (this.#underWay.size === 0) this.#heardMs = this.#options.clock.monotonicMs();
    this.#underWay.set(id, request);
    putU32(request.bytes, 0, id);
    this.#channel?.send(request.bytes);
  }

  // ---- the connection

  #connect(): void {
    this.#state = "connecting";
    this.#attempt += 1;
    const attempt = this.#attempt;
    const { endpoints, open, clock } = this.#options;
    const address = this.#leader ?? (endpoints[this.#endpoint % endpoints.length] as string);
    this.#leader = undefined;
    this.#channelAlarm = clock.alarm(this.#silenceMs, () => this.#failed(), { background: true });
    open(address).then(
      (channel) => {
        if (attempt === this.#attempt) this.#greet(channel);
        else channel.close();
      },
      () => {
        if (attempt === this.#attempt) this.#failed();
      },
    );
  }

  #greet(channel: KvChannel): void {
    const attempt = this.#attempt;
    this.#channel = channel;
    channel.onResponse((response) => {
      if (attempt === this.#attempt) this.#answered(response);
    });
    channel.onClose(() => {
      if (attempt === this.#attempt) this.#failed();
    });
    channel.send(encodeHello());
  }

  #welcomed(): void {
    this.#channelAlarm();
    this.#state = "up";
    this.#heardMs = this.#options.clock.monotonicMs();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) this.#transmit(request);
  }

  /** Lets go of the connection; what was on it waits for the next. */
  #drop(): void {
    this.#attempt += 1;
    this.#channelAlarm();
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.close();
    const lost = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const request of lost) {
      if (request.hasBegun)
        request.reject(new TardigradeError("LINK_DOWN", "The connection to the node was lost."));
      else if (request.isRepeatable) this.#waiting.push(request);
      else request.reject(unknownOutcome());
    }
  }

  #failed(): void {
    if (this.#state === "closed" || this.#state === "waiting") return;
    this.#drop();
    this.#endpoint += 1;
    this.#backOff();
  }

  #backOff(): void {
    const { clock, backoff } = this.#options;
    this.#failures += 1;
    this.#waitMs = backoff(this.#failures, this.#waitMs);
    this.#state = "waiting";
    this.#channelAlarm = clock.alarm(
      this.#waitMs,
      () => {
        if (this.#waiting.length > 0) this.#connect();
        else this.#state = "idle";
      },
      { background: true },
    );
  }

  // ---- answers

  #answered(response: Uint8Array): void {
    if (response.length < RESPONSE_HEAD_BYTES) {
      this.#failed();
      return;
    }
    const number = u16At(response, 6);
    if (this.#state === "connecting") {
      if (response[4] === KIND.hello && number === 0) this.#welcomed();
      else this.#failed();
      return;
    }
    this.#heardMs = this.#options.clock.monotonicMs();
    const id = u32At(response, 0);
    const request = this.#underWay.get(id);
    if (request === undefined) return;
    if (number !== 0) {
      this.#underWay.delete(id);
      this.#refused(request, number, response);
      return;
    }
    this.#failures = 0;
    this.#waitMs = 0;
    const answer = { flags: response[5] as number, body: response.slice(RESPONSE_HEAD_BYTES) };
    if (request.onPart !== undefined && (answer.flags & MORE) !== 0) {
      request.hasBegun = true;
      request.deadlineMs = Number.POSITIVE_INFINITY;
      request.onPart(answer);
      return;
    }
    this.#underWay.delete(id);
    request.resolve(answer);
  }

  #refused(request: Request, number: number, response: Uint8Array): void {
    const code = errorCodeOf(number) ?? "ERROR_UNKNOWN";
    if (request.hasBegun) {
      request.reject(refusedBy(code));
      return;
    }
    if (code === "RAFT_OUTCOME_UNKNOWN" && !request.isRepeatable) {
      request.reject(unknownOutcome());
      return;
    }
    if (ELSEWHERE.has(code) || code === "RAFT_OUTCOME_UNKNOWN") {
      this.#waiting.push(request);
      const leader = textOf(response.subarray(RESPONSE_HEAD_BYTES));
      this.#moveOn(leader === "" ? undefined : leader);
    } else if (LATER.has(code)) this.#later(request);
    else request.reject(refusedBy(code));
  }

  /** To the leader, when it is known; else to the next node, after a while. */
  #moveOn(leader: string | undefined): void {
    if (this.#state !== "up") return;
    this.#drop();
    if (leader === undefined) {
      this.#endpoint += 1;
      this.#backOff();
      return;
    }
    this.#leader = leader;
    this.#failures += 1;
    // Nodes that name each other for a while must not be asked in a circle without a pause.
    if (this.#failures > 2) this.#backOff();
    else this.#connect();
  }

  #later(request: Request): void {
    const { clock, backoff } = this.#options;
    clock.alarm(backoff(1, 0), () => {
      if (this.#state === "closed") request.reject(closedError());
      else this.#put(request);
    });
  }

  /** Now and then: whose time is over, and whether the connection is silent. */
  #look(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, request] of this.#underWay) {
      if (request.deadlineMs > nowMs) continue;
      this.#underWay.delete(id);
      request.reject(timedOut());
    }
    const late = this.#waiting.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    if (late.length > 0) this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const { reject } of late) reject(timedOut());
    const isAsked = [...this.#underWay.values()].some(({ hasBegun }) => !hasBegun);
    if (this.#state === "up" && isAsked && nowMs - this.#heardMs > this.#silenceMs) this.#failed();
    this.#lookAlarm =
      this.pending === 0 || this.#state === "closed"
        ? undefined
        : this.#options.clock.alarm(LOOK_MS, () => this.#look());
  }
}

function refusedBy(code: ErrorCode): TardigradeError {
  return new TardigradeError(code, ERRORS[code].help, {
    context: { component: "kv-client" },
  });
}
function timedOut(): TardigradeError {
  return new TardigradeError(
    "TIMED_OUT",
    "The cluster did not answer in time; whether a command was applied is not known. Look whether a majority of its nodes runs.",
    { context: { component: "kv-client" } },
  );
}
function unknownOutcome(): TardigradeError {
  return new TardigradeError(
    "RAFT_OUTCOME_UNKNOWN",
    "The connection was lost before the answer; the command may have been applied.",
    {
      context: { component: "kv-client" },
    },
  );
}
function closedError(): TardigradeError {
  return new TardigradeError("LINK_DOWN", "The client was closed.", { context: { component: "kv-client" } });
}
