/**
 * A folder of the simulated disk: names now, names that survive a power cut, and the operations between the
 * two. Until the folder is synced each operation survives or not on its own; a rename is one operation.
 */
import { type Dice, SimulatedFileBytes } from "./disk-file.ts";

export type Node = SimulatedFolder | SimulatedFileBytes;

type Operation =
  | { readonly kind: "put"; readonly name: string; readonly node: Node }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly node: Node };

export class SimulatedFolder {
  #entries = new Map<string, Node>();
  #durable = new Map<string, Node>();
  #pending: Operation[] = [];

  get(name: string): Node | undefined {
    return this.#entries.get(name);
  }

  names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  nodes(): Node[] {
    return [...this.#entries.values()];
  }

  put(name: string, node: Node): void {
    this.#do({ kind: "put", name, node });
  }

  remove(name: string): void {
    this.#do({ kind: "remove", name });
  }

  /** Within this folder; replaces what `to` names. */
  rename(names: { readonly from: string; readonly to: string }, node: Node): void {
    this.#do({ kind: "rename", ...names, node });
  }

  beginSync(): () => void {
    const covered = new Set(this.#pending);
    return () => {
      for (const operation of this.#pending) {
        if (covered.has(operation)) apply(this.#durable, operation);
      }
      this.#pending = this.#pending.filter((operation) => !covered.has(operation));
    };
  }

  powerCut(dice: Dice): void {
    const mood = dice.below(4);
    for (const operation of this.#pending) {
      if (mood === 0 || (mood !== 1 && dice.chance(0.5))) apply(this.#durable, operation);
    }
    this.#pending = [];
    this.#entries = new Map(this.#durable);
    const seen = new Set<Node>();
    for (const node of this.#entries.values()) {
      if (!seen.has(node)) node.powerCut(dice);
      seen.add(node);
    }
  }

  clone(copies = new Map<Node, Node>()): SimulatedFolder {
    const copy = new SimulatedFolder();
    copies.set(this, copy);
    const cloned = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const fresh = node instanceof SimulatedFolder ? node.clone(copies) : node.clone();
      copies.set(node, fresh);
      return fresh;
    };
    for (const [name, node] of this.#entries) copy.#entries.set(name, cloned(node));
    for (const [name, node] of this.#durable) copy.#durable.set(name, cloned(node));
    copy.#pending = this.#pending.map((operation) =>
      operation.kind === "remove" ? operation : { ...operation, node: cloned(operation.node) },
    );
    return copy;
  }

  #do(operation: Operation): void {
    apply(this.#entries, operation);
    this.#pending.push(operation);
  }
}

function apply(entries: Map<string, Node>, operation: Operation): void {
  switch (operation.kind) {
    case "put":
      entries.set(operation.name, operation.node);
      return;
    case "remove":
      entries.delete(operation.name);
      return;
    case "rename":
      entries.delete(operation.from);
      entries.set(operation.to, operation.node);
  }
}

/** Bytes of all files below a folder. */
export function bytesBelow(folder: SimulatedFolder): number {
  let total = 0;
  for (const node of folder.nodes())
    total += node instanceof SimulatedFolder ? bytesBelow(node) : node.sizeBytes;
  return total;
}

export function isFile(node: Node | undefined): node is SimulatedFileBytes {
  return node instanceof SimulatedFileBytes;
}
