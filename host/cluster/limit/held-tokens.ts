/** Tokens that a member was given, in batches that lapse, and how many it needs. */

interface Batch {
  tokens: number;
  readonly untilMs: number;
}

export class HeldTokens {
  readonly #windowMs: number;
  /** Oldest first: they lapse in that order. */
  #batches: Batch[] = [];
  #total = 0;
  /** Asked for in this window and in the one before. */
  #windowFromMs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #askedBefore = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add(tokens: number, untilMs: number): void {
    this.#batches.push({ tokens, untilMs });
    this.#total += tokens;
  }

  count(nowMs: number): number {
    while (this.#batches.length > 0 && (this.#batches[0] as Batch).untilMs <= nowMs)
      this.#total -= (this.#batches.shift() as Batch).tokens;
    return this.#total;
  }

  /** False, and nothing is taken, when there are not so many. */
  take(tokens: number, nowMs: number): boolean {
    if (this.count(nowMs) < tokens) return false;
    this.#total -= tokens;
    let left = tokens;
    while (left > 0) {
      const batch = this.#batches[0] as Batch;
      const taken = Math.min(left, batch.tokens);
      batch.tokens -= taken;
      left -= taken;
      if (batch.tokens === 0) this.#batches.shift();
    }
    return true;
  }

  /** Somebody asked, whether he got them or not. */
  asked(tokens: number, nowMs: number): void {
    this.#turn(nowMs);
    this.#asked += tokens;
  }

  /** What a window needs, by the last two. */
  need(nowMs: number): number {
    this.#turn(nowMs);
    return Math.max(this.#asked, this.#askedBefore);
  }

  #turn(nowMs: number): void {
    const passedMs = nowMs - this.#windowFromMs;
    if (passedMs < this.#windowMs) return;
    this.#askedBefore = passedMs < 2 * this.#windowMs ? this.#asked : 0;
    this.#asked = 0;
    this.#windowFromMs = nowMs;
  }
}
