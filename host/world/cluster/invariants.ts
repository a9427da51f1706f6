/** What Raft promises (Ongaro's thesis, figure 3.2), looked at from outside while a world runs. */

import type { RaftMember } from "../../core/raft.ts";
import type { Reference } from "./reference.ts";
import type { SimulatedNode } from "./simulated-node.ts";
import type { Testimony } from "./testimony.ts";

export class Invariants {
  readonly #reference: Reference;
  /** Who led in a term. */
  readonly #leaders = new Map<number, number>();

  readonly #testimony: Testimony;

  constructor(reference: Reference, testimony: Testimony) {
    this.#reference = reference;
    this.#testimony = testimony;
  }

  get elections(): number {
    return this.#leaders.size;
  }

  /** Election safety and leader completeness. A text where one is broken. */
  elected(member: SimulatedNode, term: number): string | undefined {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== member.id)
      return `election safety: nodes ${other} and ${member.id} lead in term ${term}`;
    this.#leaders.set(term, member.id);
    const driver = member.node?.driver;
    if (driver === undefined) return undefined;
    const { first, last } = driver.status;
    // Votes may come so late that a later term has its leader already: what that has committed a leader of an earlier one may lack.
    const isLate = [...this.#leaders.keys()].some((led) => led > term);
    const { commits } = this.#reference;
    const until = isLate ? Math.min(commits, this.#testimony.committedBefore(term)) : commits;
    for (let index = Math.max(first, 1); index <= until; index += 1) {
      const held = index > last ? 0 : driver.termAt(index);
      const committed = this.#reference.termAt(index);
      if (held !== committed)
        return `leader completeness: node ${member.id} leads in term ${term} without the committed entry ${index} of term ${committed}`;
    }
    if (isLate) return undefined;
    // Committed, and applied nowhere yet.
    const { index, term: committed } = this.#testimony.committed;
    if (index >= first && (index > last || driver.termAt(index) !== committed))
      return `leader completeness: node ${member.id} leads in term ${term} without entry ${index} of term ${committed}, which was called committed`;
    return undefined;
  }

  /** Log matching, by terms: where two logs have the same term at an index, they are the same up to there. And what nodes say of themselves. */
  look(processes: readonly SimulatedNode[]): string | undefined {
    const nodes = processes.flatMap(({ node }) =>
      node === undefined ? [] : [{ id: node.id, driver: node.driver, status: node.driver.status }],
    );
    for (const { id, status } of nodes) {
      if (status.violations > 0) return `node ${id} saw ${status.violations} things that Raft rules out`;
    }
    for (const [at, a] of nodes.entries()) {
      for (const b of nodes.slice(at + 1)) {
        const [mine, theirs] = [a.status, b.status];
        const first = Math.max(mine.first, theirs.first);
        // A configuration stands in the log, or in the snapshot before it (4.1): the same log, the same members.
        const { last } = mine;
        if (last === theirs.last && last >= first && a.driver.termAt(last) === b.driver.termAt(last)) {
          if (namesOf(mine.members) !== namesOf(theirs.members))
            return `log matching: nodes ${a.id} and ${b.id} end at entry ${last} both, and have other members`;
        }
        let isSame = false;
        for (let index = Math.min(mine.last, theirs.last); index >= first; index -= 1) {
          const equal = a.driver.termAt(index) === b.driver.termAt(index);
          if (isSame && !equal)
            return `log matching: nodes ${a.id} and ${b.id} differ at ${index} and agree above it`;
          isSame ||= equal;
        }
      }
    }
    return undefined;
  }
}

function namesOf(members: readonly RaftMember[]): string {
  return members
    .map(({ id, role, outgoing, leaving }) => `${id} ${role} ${outgoing === true} ${leaving === true}`)
    .sort()
    .join(", ");
}
