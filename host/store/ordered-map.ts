/**
 * A map of text keys in the order of their UTF-8 bytes, as LMDB has them. Keys stand in sorted blocks of
 * bounded length, so an insertion moves at most a block; one sorted array would move everything behind the
 * key.
 */
const BLOCK_KEYS_MAX = 512;

export class OrderedMap<V> {
  readonly #values = new Map<string, V>();
  /** Sorted blocks, none empty unless it is the only one. */
  #blocks: string[][] = [[]];

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#insert(key);
    this.#values.set(key, value);
  }

  delete(key: string): boolean {
    if (!this.#values.delete(key)) return false;
    const number = this.#blockOf(key);
    const block = this.#blocks[number] as string[];
    block.splice(lowerBound(block, key), 1);
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(number, 1);
    return true;
  }

  /** In the order of the keys; the map must not change meanwhile. */
  forEach(visit: (key: string, value: V) => void): void {
    for (const block of this.#blocks) for (const key of block) visit(key, this.#values.get(key) as V);
  }

  /** Entries with from <= key < to; the list is the caller's. */
  range(options: {
    readonly from: string;
    readonly to: string;
    readonly limit: number;
    readonly reverse: boolean;
  }): [string, V][] {
    const found: [string, V][] = [];
    if (compareKeys(options.from, options.to) >= 0) return found;
    const visit = (key: string): void => {
      found.push([key, this.#values.get(key) as V]);
    };
    if (options.reverse) this.#backward(options, () => found.length < options.limit, visit);
    else this.#forward(options, () => found.length < options.limit, visit);
    return found;
  }

  #forward(
    span: { readonly from: string; readonly to: string },
    more: () => boolean,
    visit: (key: string) => void,
  ): void {
    let number = this.#blockOf(span.from);
    let at = lowerBound(this.#blocks[number] as string[], span.from);
    while (number < this.#blocks.length) {
      const block = this.#blocks[number] as string[];
      for (; at < block.length; at += 1) {
        const key = block[at] as string;
        if (!more() || compareKeys(key, span.to) >= 0) return;
        visit(key);
      }
      number += 1;
      at = 0;
    }
  }

  #backward(
    span: { readonly from: string; readonly to: string },
    more: () => boolean,
    visit: (key: string) => void,
  ): void {
    let number = this.#blockOf(span.to);
    let at = lowerBound(this.#blocks[number] as string[], span.to) - 1;
    for (;;) {
      for (; at >= 0; at -= 1) {
        const key = (this.#blocks[number] as string[])[at] as string;
        if (!more() || compareKeys(key, span.from) < 0) return;
        visit(key);
      }
      number -= 1;
      if (number < 0) return;
      at = (this.#blocks[number] as string[]).length - 1;
    }
  }

  #insert(key: string): void {
    const number = this.#blockOf(key);
    const block = this.#blocks[number] as string[];
    block.splice(lowerBound(block, key), 0, key);
    if (block.length > BLOCK_KEYS_MAX) this.#blocks.splice(number + 1, 0, block.splice(BLOCK_KEYS_MAX >> 1));
  }

  /** Number of the last block that begins at or before the key, or 0. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (compareKeys((this.#blocks[middle] as string[])[0] as string, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/**
 * Compares by code point, which is the order of UTF-8 bytes. JavaScript compares UTF-16 units, which puts the
 * characters beyond the basic plane (surrogates, D800-DFFF) before U+E000-U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return surrogatesLast(left) - surrogatesLast(right);
  }
  return a.length - b.length;
}

function surrogatesLast(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit > 0xdfff ? unit - 0x800 : unit + 0x2000;
}

function lowerBound(block: readonly string[], key: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(block[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
