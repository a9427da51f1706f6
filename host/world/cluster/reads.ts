/**
 * Reads asked of a node from beside it, as a program in its process does: however a leader is cut off, they reach it. Each must see every entry that any
 * node had applied when it was asked (ReadIndex and leases, Ongaro's thesis, 6.4), which is stricter than what clients can tell.
 */
import type { SimulatedClock } from "../clock.ts";
import type { SimulatedNode } from "./simulated-node.ts";

export interface ReadsOptions {
  readonly clock: SimulatedClock;
  /** Entries that some node has applied. */
  readonly commits: () => number;
  readonly onStale: (what: string) => void;
}

export class Reads {
  readonly #options: ReadsOptions;
  answered = 0;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** Asks again and again for so long. */
  press(member: SimulatedNode, times: { readonly everyMs: number; readonly forMs: number }): void {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + times.forMs;
    const again = (): void => {
      this.ask(member);
      if (clock.monotonicMs() < untilMs) clock.alarm(times.everyMs, again);
    };
    again();
  }

  ask(member: SimulatedNode): void {
    const { node } = member;
    // A process that is paused asks nothing, and where nobody leads nobody answers.
    if (node === undefined || node.isStopped || member.isPaused || node.leader === 0) return;
    const known = this.#options.commits();
    node.driver.read().then(
      () => {
        this.answered += 1;
        const seen = node.machine.appliedIndex;
        if (seen < known)
          this.#options.onStale(
            `stale read: node ${member.id} read at entry ${seen}, and entry ${known} had been applied before it was asked`,
          );
      },
      // No leader answered in time; or the node is gone.
      () => undefined,
    );
  }
}
