/** The two ends of a ring: each belongs to one thread, closes, and can be given up for dead by whoever learns that its thread is gone. */
import { TardigradeError } from "../../protocols/error.ts";
import type { SharedEvent } from "./event.ts";
import type { Space } from "./space.ts";

export type Side = "producer" | "consumer";

/** The numbers of assembly/lockfree/ends.ts. */
const FLAGS = {
  producer: { closed: 1, gone: 4, taken: 16 },
  consumer: { closed: 2, gone: 8, taken: 32 },
} as const;

export class Ends {
  readonly #space: Space;
  readonly #at: number;
  readonly #events: readonly SharedEvent[];

  constructor(space: Space, at: number, events: readonly SharedEvent[]) {
    this.#space = space;
    this.#at = at;
    this.#events = events;
  }

  /** Takes an end for the caller; only one that is free, or whose thread is gone. */
  take(side: Side): void {
    const { closed, gone, taken } = FLAGS[side];
    const { words } = this.#space;
    for (let was = Atomics.load(words, this.#at >>> 2); ; ) {
      if ((was & taken) !== 0 && (was & gone) === 0) {
        throw new TardigradeError(
          "ARGUMENT",
          `Another thread has the ${side}'s end; there is one ${side}. When that thread is gone, call abandon("${side}") first.`,
          { context: { component: "lockfree" } },
        );
      }
      const found = Atomics.compareExchange(words, this.#at >>> 2, was, (was | taken) & ~(gone | closed));
      if (found === was) return;
      was = found;
    }
  }

  close(side: Side): void {
    this.#set(FLAGS[side].closed);
  }

  /** For whoever knows that the end's thread does not run any more. */
  abandon(side: Side): void {
    this.#set(FLAGS[side].gone);
  }

  #set(flag: number): void {
    this.#space.raw.endsSet(this.#at, flag);
    for (const event of this.#events) event.wake();
  }

  /** Nothing more comes from that side. */
  isAway(side: Side): boolean {
    const { closed, gone } = FLAGS[side];
    return (this.#space.raw.endsOf(this.#at) & (closed | gone)) !== 0;
  }

  /** Its thread ended without closing. */
  isGone(side: Side): boolean {
    const { closed, gone } = FLAGS[side];
    return (this.#space.raw.endsOf(this.#at) & (closed | gone)) === gone;
  }

  /** Why nothing more can be done with that side. */
  error(side: Side): TardigradeError {
    return this.isGone(side)
      ? new TardigradeError(
          "SHARED_PEER_GONE",
          `The ${side}'s thread ended without closing; what it had not published or released is lost to it.`,
          { context: { component: "lockfree", side } },
        )
      : new TardigradeError("SHARED_CLOSED", `The ${side} closed.`, {
          context: { component: "lockfree", side },
        });
  }
}

/** What is left of a Worker here. */
export interface Exiting {
  once(event: "exit", listener: () => void): unknown;
}

/** Gives an end up for dead when its worker exits; an end that was closed before stays closed. */
export function abandonOnExit(worker: Exiting, structure: { abandon(side: Side): void }, side: Side): void {
  worker.once("exit", () => structure.abandon(side));
}
