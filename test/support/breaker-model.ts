/** The breaker as one would write it without thought for cost: lists, objects, a set of permits that are out. */
export interface ModelOptions {
  readonly openMs: number;
  readonly probeMs: number;
  readonly consecutive: number;
  readonly calls: number;
  readonly rateMilli: number;
  readonly callsMin: number;
  readonly permits: number;
  readonly successesMin: number;
}

export interface ModelPermit {
  readonly period: object;
}

export class BreakerModel {
  readonly #options: ModelOptions;
  state: "closed" | "open" | "half-open" = "closed";
  /** A new object for each stay in a state. */
  #period: object = {};
  #outcomes: boolean[] = [];
  #untilMs = 0;
  #successes = 0;
  readonly out = new Set<ModelPermit>();

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** Probes of this half-open period that are out. */
  probesOut(): number {
    return [...this.out].filter((permit) => permit.period === this.#period).length;
  }

  acquire(nowMs: number): ModelPermit | undefined {
    if (this.state === "open") {
      if (nowMs < this.#untilMs) return undefined;
      this.#enter("half-open");
    } else if (this.state === "half-open" && this.probesOut() >= this.#options.permits) {
      if (nowMs < this.#untilMs) return undefined;
      this.#enter("half-open");
    }
    if (this.state === "half-open") this.#untilMs = nowMs + this.#options.probeMs;
    const permit = { period: this.#period };
    this.out.add(permit);
    return permit;
  }

  give(permit: ModelPermit, outcome: "success" | "failure" | "cancelled", nowMs: number): void {
    this.out.delete(permit);
    if (permit.period !== this.#period || outcome === "cancelled") return;
    if (this.state === "half-open") {
      if (outcome === "failure") this.#open(nowMs);
      else if (++this.#successes >= this.#options.successesMin) this.#enter("closed");
      return;
    }
    this.#outcomes.push(outcome === "failure");
    if (outcome === "failure" && this.#trips()) this.#open(nowMs);
  }

  #trips(): boolean {
    const { consecutive, calls, rateMilli, callsMin } = this.#options;
    const row = this.#outcomes.length - 1 - this.#outcomes.lastIndexOf(false);
    if (consecutive > 0 && row >= consecutive) return true;
    if (calls === 0) return false;
    const window = this.#outcomes.slice(-calls);
    const failures = window.filter((failed) => failed).length;
    return window.length >= callsMin && failures * 1000 >= rateMilli * window.length;
  }

  #open(nowMs: number): void {
    this.#enter("open");
    this.#untilMs = nowMs + this.#options.openMs;
  }

  #enter(state: "closed" | "open" | "half-open"): void {
    this.state = state;
    this.#period = {};
    this.#successes = 0;
    this.#outcomes = [];
  }
}
