/** Who did what: one line for each thing that changes something or was refused, and the last of them for the page. */
import type { Clock } from "../../io/seams.ts";

export const AUDIT_KEPT = 200;
const TEXT_CHARS_MAX = 120;

export interface AuditEntry {
  readonly timeMs: number;
  /** Name of a user or token, `anonymous`, or `device NAME`. */
  readonly who: string;
  readonly via: "http" | "mqtt" | "cli";
  /** Such as `command`, `shadow`, `login`. */
  readonly action: string;
  /** Device or name it was done to. */
  readonly target: string;
  /** `ok` or the code of the refusal. */
  readonly outcome: string;
}

export class Audit {
  readonly #clock: Clock;
  readonly #write: (entry: AuditEntry) => void;
  readonly #last: AuditEntry[] = [];

  constructor(options: { readonly clock: Clock; readonly write: (entry: AuditEntry) => void }) {
    this.#clock = options.clock;
    this.#write = options.write;
  }

  add(entry: Omit<AuditEntry, "timeMs">): void {
    const cut = (text: string): string => text.slice(0, TEXT_CHARS_MAX);
    const { who, via, action, target, outcome } = entry;
    const full = {
      timeMs: this.#clock.wallMs(),
      who: cut(who),
      via,
      action: cut(action),
      target: cut(target),
      outcome,
    };
    this.#last.unshift(full);
    if (this.#last.length > AUDIT_KEPT) this.#last.pop();
    this.#write(full);
  }

  /** Newest first. */
  last(): readonly AuditEntry[] {
    return this.#last;
  }
}
