/**
 * What one member may serve: what the roster that holds gives it, and every one adopted since.
 *
 * ```
 *   settled on 1207     adopted 1260     adopted 1301
 *        mine       and     mine     and     mine       ──►  mine still, under the epoch of 1207
 *                                       1301 settles    ──►  all that 1301 gives, under a new epoch
 * ```
 * So what a member loses it loses when it hears of a roster, and what it wins when all have. Two members never have a device at once: the second has it
 * from a roster on that the first has adopted, and by which the first has it no more (or the first's lease is over).
 *
 * The epoch is the revision of the store at which the roster was seen to hold. It rises from each owner of a device to the next: the first saw its roster
 * hold before the second's was put.
 */
import type { Core } from "../../core/core.ts";
import { createPlacement, type Placement } from "../../core/placement.ts";
import type { Roster } from "./roster.ts";

/** Rosters that are adopted and do not hold yet. With more, nothing is served until one holds. */
const PENDING_MAX = 8;

export class Tenure {
  readonly #core: Core;
  readonly #id: string;
  #settled: Placement | undefined;
  #epoch = 0;
  readonly #pending: Placement[] = [];
  /** Of the last one adopted. */
  #roster: Roster = { members: [], revision: 0 };

  constructor(core: Core, id: string) {
    this.#core = core;
    this.#id = id;
  }

  /** The last one adopted. */
  get roster(): Roster {
    return this.#roster;
  }
  get isSettled(): boolean {
    return this.#settled !== undefined && this.#pending.length === 0;
  }

  /** The fencing token under which the device is served, 0 when it is not. Throws ARGUMENT for a key above 1,024 bytes. */
  epoch(device: string): number {
    if (this.#settled === undefined || this.#settled.owner(device) !== this.#id) return 0;
    for (const placement of this.#pending) if (placement.owner(device) !== this.#id) return 0;
    return this.#epoch;
  }

  /** Who has the device by the last roster adopted, or will when it holds. */
  owner(device: string): string | undefined {
    return (this.#pending.at(-1) ?? this.#settled)?.owner(device);
  }

  /** From now on only what this roster gives, too, is served. It names one member at least. */
  adopt(roster: Roster): void {
    const nodes = roster.members.map(({ id, weight }) => ({ id, weight }));
    this.#pending.push(createPlacement(this.#core, { kind: "rendezvous", nodes }));
    this.#roster = roster;
    if (this.#pending.length <= PENDING_MAX) return;
    this.#settled?.[Symbol.dispose]();
    this.#settled = undefined;
    this.#pending.shift()?.[Symbol.dispose]();
  }

  /** The last roster adopted holds, as was seen at that revision of the store. */
  settle(revision: number): void {
    const last = this.#pending.pop();
    if (last === undefined) return;
    this.#drop();
    this.#settled = last;
    this.#epoch = revision;
  }

  /** Nothing is served any more. */
  end(): void {
    this.#drop();
    this.#roster = { members: [], revision: 0 };
    this.#epoch = 0;
  }

  #drop(): void {
    this.#settled?.[Symbol.dispose]();
    this.#settled = undefined;
    for (const placement of this.#pending.splice(0)) placement[Symbol.dispose]();
  }
}
