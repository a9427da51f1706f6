/**
 * What the cluster agreed on: the committed entries, by whichever node applied them first, and a machine of one copy that applies them too.
 * Everything that nodes and clients see is held against it.
 */
import { crc32 } from "../../../protocols/crc.ts";
import type { MachineEntry } from "../../cluster/driver/replicated-machine.ts";
import type { KvEvent } from "../../cluster/kv/events.ts";
import type { KvLimits } from "../../cluster/kv/limits.ts";
import { KvMachine } from "../../cluster/kv/machine.ts";
import { memoryState } from "../../store/memory-state.ts";
import type { History } from "./history.ts";
import { judgeAnswers } from "./judge.ts";

export class Reference {
  readonly #machine: KvMachine;
  readonly #watcher;
  /** Term and checksum of the entry at index - 1. */
  readonly #terms: number[] = [];
  readonly #checksums: number[] = [];
  readonly #queue: MachineEntry[] = [];
  #running: Promise<void> | undefined;
  /** At revision - 1. */
  readonly events: KvEvent[] = [];
  /** Running checksum of all of it. */
  digest = 0;

  constructor(limits: Partial<KvLimits>) {
    this.#machine = KvMachine.open({
      store: memoryState(),
      limits,
      watch: { queueEvents: Number.MAX_SAFE_INTEGER, queueBytes: Number.MAX_SAFE_INTEGER },
    });
    this.#watcher = this.#machine.watch({ from: "", to: "" });
  }

  get commits(): number {
    return this.#terms.length;
  }
  termAt(index: number): number {
    return this.#terms[index - 1] ?? 0;
  }

  /** A node applied these. A text when another entry was applied there before: state machine safety is broken. */
  applied(entries: readonly MachineEntry[]): string | undefined {
    for (const { index, term, payload } of entries) {
      const checksum = crc32(payload);
      if (index > this.#terms.length + 1)
        return `entry ${index} was applied before entry ${this.#terms.length + 1}`;
      if (index <= this.#terms.length) {
        const known = this.#terms[index - 1] as number;
        if (known !== term || this.#checksums[index - 1] !== checksum)
          return `state machine safety: entry ${index} of term ${term} was applied where another, of term ${known}, had been`;
        continue;
      }
      this.#terms.push(term);
      this.#checksums.push(checksum);
      this.digest = crc32(new Uint8Array(Uint32Array.of(index, term, checksum).buffer), this.digest);
      this.#queue.push({ index, term, payload: payload.slice() });
    }
    if (this.#queue.length > 0) this.#running ??= this.#apply();
    return undefined;
  }

  async #apply(): Promise<void> {
    while (this.#queue.length > 0) await this.#machine.apply(this.#queue.splice(0, 256));
    this.events.push(...this.#watcher.take());
    this.#running = undefined;
  }

  /** Resolves when it stands where the nodes do. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  get revision(): number {
    return this.#machine.revision;
  }
  snapshot(): Uint8Array[] {
    return [...this.#machine.snapshot(1 << 20)];
  }

  /** What clients were told, against what happened. Undefined when all of it is so. */
  judge(history: History): string | undefined {
    return judgeAnswers(history, this.events);
  }
}
