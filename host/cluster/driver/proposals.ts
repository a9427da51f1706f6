/** Commands that this node took as leader and whose results its callers wait for. */
import { TardigradeError } from "../../../protocols/error.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import type { MachineEntry } from "./replicated-machine.ts";

/** Callbacks and no promise: there are tens of thousands a second. One of the two is called, once; neither may throw. */
export interface ProposalListener<Results> {
  /** The result stands in `results` at `slot`. */
  applied(results: Results, slot: number, index: number): void;
  /** RAFT_NOT_LEADER: it was not applied. RAFT_OUTCOME_UNKNOWN, RAFT_STOPPED: it may have been, or may be. */
  failed(error: TardigradeError): void;
}

interface Pending<Results> {
  readonly term: number;
  readonly listener: ProposalListener<Results>;
}

export class Proposals<Results> {
  readonly #pending = new Map<number, Pending<Results>>();

  get count(): number {
    return this.#pending.size;
  }

  add(index: number, term: number, listener: ProposalListener<Results>): void {
    this.#pending.set(index, { term, listener });
  }

  applied(entries: readonly MachineEntry[], results: Results): void {
    if (this.#pending.size === 0) return;
    for (let slot = 0; slot < entries.length; slot += 1) {
      const { index, term } = entries[slot] as MachineEntry;
      const pending = this.#pending.get(index);
      if (pending === undefined) continue;
      this.#pending.delete(index);
      if (pending.term === term) pending.listener.applied(results, slot, index);
      // Another leader's entry stands there: ours is nowhere.
      else pending.listener.failed(refusal("RAFT_NOT_LEADER"));
    }
  }

  failAll(code: ErrorCode): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { listener } of pending) listener.failed(refusal(code));
  }
}

const TEXTS: Partial<Record<ErrorCode, string>> = {
  RAFT_NOT_LEADER: "This node does not lead; ask the leader.",
  RAFT_OUTCOME_UNKNOWN: "This node lost its leadership; the command may have been applied or not.",
  RAFT_STOPPED: "This node has stopped; the command may have been applied or not.",
  RAFT_NO_LEADER: "No leader is known, or it does not answer; try again after an election time.",
};

export function refusal(code: ErrorCode, context: Readonly<Record<string, unknown>> = {}): TardigradeError {
  return new TardigradeError(code, TEXTS[code] ?? code, { context: { component: "raft", ...context } });
}
