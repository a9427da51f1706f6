/** The breaker as one would write it without thought for cost: lists, objects, a set of permits that are out. */
export interface ModelOptions {
  readonly openMs: number;
  readonly halfOpenMs: number;
  readonly consecutive: number;
  readonly windowCalls: number;
  readonly windowMs: number;
  readonly failureMilli: number;
  readonly slowMilli: number;
  readonly slowMs: number;
  readonly callsMin: number;
  readonly permits: number;
  readonly successesMin: number;
}

export interface ModelPermit {
  readonly period: object;
}

export const MODEL_STATES = ["closed", "open", "half-open", "forced-open", "disabled"] as const;
export type ModelState = (typeof MODEL_STATES)[number];
export type ModelOutcome = "success" | "failure" | "cancelled" | "ignored" | "timeout";

interface Ended {
  readonly slot: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

const SLOTS = 10;

export class BreakerModel {
  readonly #options: ModelOptions;
  state: ModelState = "closed";
  /** A new object for each stay in a state. */
  #period: object = {};
  #ended: Ended[] = [];
  #row = 0;
  #untilMs = 0;
  #successes = 0;
  /** Slots of the window by time are counted from here. */
  #windowFromMs: number;
  readonly out = new Set<ModelPermit>();

  constructor(options: ModelOptions, nowMs: number) {
    this.#options = options;
    this.#windowFromMs = nowMs;
  }

  /** Probes of this half-open period that are out. */
  probesOut(): number {
    return [...this.out].filter((permit) => permit.period === this.#period).length;
  }

  acquire(nowMs: number): ModelPermit | undefined {
    this.#endHalfOpen(nowMs);
    if (this.state === "open" && nowMs >= this.#untilMs) {
      this.#enter("half-open");
      this.#untilMs = nowMs + this.#options.halfOpenMs;
    }
    if (this.state === "open" || this.state === "forced-open") return undefined;
    if (this.state === "half-open" && this.probesOut() >= this.#options.permits) return undefined;
    const permit = { period: this.#period };
    this.out.add(permit);
    return permit;
  }

  give(permit: ModelPermit, outcome: ModelOutcome, tookMs: number, nowMs: number): void {
    this.#endHalfOpen(nowMs);
    this.out.delete(permit);
    if (permit.period !== this.#period || outcome === "cancelled" || outcome === "ignored") return;
    const failed = outcome !== "success";
    const slow = this.#options.slowMs > 0 && tookMs >= this.#options.slowMs;
    if (this.state === "half-open") {
      if (failed || slow) this.#open(nowMs);
      else if (++this.#successes >= this.#options.successesMin) this.#clear("closed", nowMs);
      return;
    }
    this.#row = failed ? this.#row + 1 : 0;
    this.#keep(failed, slow, nowMs);
    if (this.state === "closed" && (failed || slow) && this.#trips()) this.#open(nowMs);
  }

  force(state: "closed" | "open" | "forced-open" | "disabled", nowMs: number): void {
    if (state === "open") this.#open(nowMs);
    else this.#clear(state, nowMs);
  }

  stateAt(nowMs: number): ModelState {
    const { openMs } = this.#options;
    if (nowMs < this.#untilMs) return this.state;
    if (this.state === "open") return "half-open";
    if (this.state !== "half-open") return this.state;
    return nowMs < this.#untilMs + openMs ? "open" : "half-open";
  }

  #keep(failed: boolean, slow: boolean, nowMs: number): void {
    const { windowCalls, windowMs } = this.#options;
    let slot = 0;
    if (windowMs > 0) {
      const slotMs = Math.floor((windowMs * 1000) / SLOTS) / 1000;
      slot = Math.floor((nowMs - this.#windowFromMs) / slotMs + 1e-9);
      const last = this.#ended.at(-1)?.slot ?? 0;
      // A window that was idle for its whole span begins anew.
      if (slot - last >= SLOTS && nowMs - this.#windowFromMs - last * slotMs >= SLOTS * slotMs) {
        this.#ended = [];
        this.#windowFromMs = nowMs;
        slot = 0;
      }
      this.#ended = this.#ended.filter((one) => one.slot > slot - SLOTS);
    }
    this.#ended.push({ slot, failed, slow });
    if (windowCalls > 0) this.#ended = this.#ended.slice(-windowCalls);
  }

  #trips(): boolean {
    const { consecutive, windowCalls, windowMs, failureMilli, slowMilli, callsMin } = this.#options;
    if (consecutive > 0 && this.#row >= consecutive) return true;
    if (windowCalls + windowMs === 0 || this.#ended.length < callsMin) return false;
    const reaches = (part: number, milli: number) => milli > 0 && part * 1000 >= milli * this.#ended.length;
    return (
      reaches(this.#ended.filter((one) => one.failed).length, failureMilli) ||
      reaches(this.#ended.filter((one) => one.slow).length, slowMilli)
    );
  }

  #endHalfOpen(nowMs: number): void {
    if (this.state === "half-open" && nowMs >= this.#untilMs) this.#open(this.#untilMs);
  }

  #open(nowMs: number): void {
    this.#enter("open");
    this.#untilMs = nowMs + this.#options.openMs;
  }

  #clear(state: ModelState, nowMs: number): void {
    this.#enter(state);
    this.#ended = [];
    this.#row = 0;
    this.#windowFromMs = nowMs;
  }

  #enter(state: ModelState): void {
    this.state = state;
    this.#period = {};
    this.#successes = 0;
  }
}
