/**
 * Virtual time for rp2040js, which asks for `nanos` and alarms. Nothing here knows the real clock: the board adds what its
 * instructions took, and jumps to the next alarm when the processor sleeps.
 */

export interface Alarm {
  /** Replaces an earlier schedule of the same alarm. */
  schedule(deltaNanos: number): void;
  cancel(): void;
}

interface Entry {
  readonly call: () => void;
  dueNanos: number;
}

export class VirtualClock {
  /** Since the board was made; power cuts and resets do not turn it back. */
  nanos: number;
  /** The earliest alarm's time, Infinity without one: a field, since the run loop reads it at every instruction. */
  dueNanos = Number.POSITIVE_INFINITY;
  /** By time, and in the order of scheduling where times are equal. */
  readonly #entries: Entry[] = [];

  constructor(nanos: number) {
    this.nanos = nanos;
  }

  createAlarm(call: () => void): Alarm {
    const entry: Entry = { call, dueNanos: 0 };
    return {
      schedule: (deltaNanos) => {
        this.#remove(entry);
        entry.dueNanos = this.nanos + deltaNanos;
        let at = this.#entries.length;
        while (at > 0 && (this.#entries[at - 1] as Entry).dueNanos > entry.dueNanos) at -= 1;
        this.#entries.splice(at, 0, entry);
        this.#refresh();
      },
      cancel: () => this.#remove(entry),
    };
  }

  /** Calls every alarm that is due by now, in order; one that schedules an alarm for now has it called too. */
  fire(): void {
    while (this.dueNanos <= this.nanos) {
      const entry = this.#entries.shift() as Entry;
      this.#refresh();
      entry.call();
    }
  }

  #remove(entry: Entry): void {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    this.#refresh();
  }

  #refresh(): void {
    this.dueNanos = this.#entries[0]?.dueNanos ?? Number.POSITIVE_INFINITY;
  }
}
