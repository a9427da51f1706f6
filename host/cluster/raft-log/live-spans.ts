/**
 * Which part of the segment log still holds entries that count, for compaction.
 *
 * A place for each record would be a list as long as the log. Whole segments are removed, so it is enough to know, for each
 * stretch of the log, which indexes may live in it: marks at a distance of `spanBytes` at least, hence at most
 * (bytes of the log) / spanBytes + 1 of them.
 *
 *   offset   0 ........ 64 K ....... 128 K ......
 *   mark     [1..40]    [41..70]    [71..90]          a save from 55 on: the mark of 71 goes, that of 41 ends at 54
 *
 * The ranges ascend and do not overlap, since an overriding save takes all indexes from its first on away from what lies before.
 */
interface Mark {
  /** Where its stretch begins. */
  readonly offset: number;
  readonly first: number;
  last: number;
}

export class LiveSpans {
  readonly #spanBytes: number;
  readonly #marks: Mark[] = [];

  constructor(spanBytes: number) {
    this.#spanBytes = spanBytes;
  }

  get count(): number {
    return this.#marks.length;
  }

  /** A record at `offset`, above all others, holds these indexes. */
  add(offset: number, first: number, last: number): void {
    const marks = this.#marks;
    while (marks.length > 0 && (marks.at(-1) as Mark).first >= first) marks.pop();
    const newest = marks.at(-1);
    if (newest !== undefined && newest.last >= first) newest.last = first - 1;
    if (newest !== undefined && offset - newest.offset < this.#spanBytes) newest.last = last;
    else marks.push({ offset, first, last });
  }

  /**
   * Forgets entries up to `index`. Returns the offset below which no entry lives, or `otherwise` when none lives below that.
   */
  compact(index: number, otherwise: number): number {
    const marks = this.#marks;
    let dead = 0;
    while (dead < marks.length && (marks[dead] as Mark).last <= index) dead += 1;
    marks.splice(0, dead);
    return Math.min(marks[0]?.offset ?? otherwise, otherwise);
  }

  clear(): void {
    this.#marks.length = 0;
  }
}
