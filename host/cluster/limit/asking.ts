/**
 * Asks the fleet's account for tokens, one ask at a time: at most so often, scattered where tokens are scarce, later where others changed the account meanwhile or
 * the store does not answer. Whom the tokens are for, and when more are wanted, is its owner's.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { createBackoff } from "../../core/policy/backoff.ts";
import type { PolicySeams } from "../../core/policy/policy.ts";
import type { KvClient } from "../client/kv-client.ts";
import { FleetClock } from "./fleet-clock.ts";
import { decodeQuota, encodeQuota, FIRST_QUOTA, grantOf, type Quota, type QuotaLimits } from "./quota.ts";

export interface AskingOptions {
  readonly name: string;
  readonly kv: Pick<KvClient, "get" | "put">;
  readonly key: string;
  readonly limits: QuotaLimits;
  readonly batchMs: number;
}

export interface AskingOwner {
  /** Tokens that should be asked for now; none at or below 0. */
  wanted(nowMs: number): number;
  /** Somebody waits for an answer: the program should not end before it. */
  isWaitedFor(): boolean;
  /** The most that one call asked for and did not get. */
  least(): number;
  /** So many are not there; what there is serves smaller calls meanwhile. */
  forgetLeast(): void;
  granted(tokens: number, ask: { readonly untilMs: number; readonly least: number }): void;
  /** An ask ended, well or not, or is overdue: calls that wait may go on, and some in another way. */
  answered(): void;
  unreachable(error: Error): void;
  reachable(): void;
}

const US_PER_MS = 1000;
const ASK_MS_MIN = 5;
/** Asks within a batch's time. */
const ASKS = 5;
/** An ask that is not answered for so long, or for a batch's time, is taken for one that fails. */
const OVERDUE_MS_MIN = 1_000;
/** Of one ask that others always come before. */
const TRIES = 4;
const BACKOFF = { baseMs: 20, capMs: 2_000 } as const;
const CONFLICT = { baseMs: 2, capMs: 50 } as const;

export class Asking {
  readonly #seams: PolicySeams;
  readonly #options: AskingOptions;
  readonly #owner: AskingOwner;
  readonly #askMs: number;
  readonly #jitterMs: number;
  readonly #overdueMs: number;
  readonly #fleet = new FleetClock();
  readonly #backoff;
  readonly #conflictMs;
  /** The account as this member left it, or read it last. */
  #known: { readonly quota: Quota; readonly revision: number } | undefined;
  #isAsking = false;
  #alarm: (() => void) | undefined;
  /** Not before. */
  #nextMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #failure: Error | undefined;
  #isOpen = true;

  constructor(seams: PolicySeams, options: AskingOptions, owner: AskingOwner) {
    this.#seams = seams;
    this.#options = options;
    this.#owner = owner;
    const { limits, batchMs } = options;
    // Often enough that a burst does not fill up in between.
    const fillMs = (limits.burst * limits.periodUs) / US_PER_MS / limits.limit / 4;
    this.#askMs = Math.max(ASK_MS_MIN, Math.min(batchMs / ASKS, fillMs));
    this.#jitterMs = Math.min(batchMs / 2, fillMs);
    this.#overdueMs = Math.max(batchMs, OVERDUE_MS_MIN);
    this.#backoff = createBackoff(seams, BACKOFF);
    this.#conflictMs = createBackoff(seams, CONFLICT);
  }

  /** Why the store cannot be reached; undefined when it can. */
  get failure(): Error | undefined {
    return this.#failure;
  }
  /** Until the next ask. */
  waitMs(): number {
    return this.#nextMs - this.#nowMs;
  }

  /** As soon as it may be. */
  soon(): void {
    if (!this.#isOpen || this.#isAsking || this.#alarm !== undefined) return;
    this.#alarm = this.#seams.clock.alarm(
      Math.max(0, this.waitMs()),
      () => {
        this.#alarm = undefined;
        void this.#ask();
      },
      // Nobody waits for it: a program may end.
      { background: !this.#owner.isWaitedFor() },
    );
  }

  close(): void {
    this.#isOpen = false;
    this.#alarm?.();
    this.#alarm = undefined;
  }

  get #nowMs(): number {
    return this.#seams.clock.monotonicMs();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    const overdue = this.#seams.clock.alarm(this.#overdueMs, () => this.#overdue(), { background: true });
    try {
      await this.#askOnce();
      if (this.#failure !== undefined && this.#isOpen) {
        this.#failure = undefined;
        this.#owner.reachable();
      }
      this.#failures = 0;
    } catch (error) {
      this.#failed(error as Error);
    } finally {
      overdue();
      this.#isAsking = false;
    }
    if (!this.#isOpen) return;
    this.#owner.answered();
    if (this.#owner.wanted(this.#nowMs) > 0) this.soon();
  }

  async #askOnce(): Promise<void> {
    const { kv, key, limits } = this.#options;
    for (let tries = 1; this.#isOpen; tries += 1) {
      const { quota, revision } = this.#known ?? (await this.#read());
      const sentMs = this.#nowMs;
      this.#nextMs = sentMs + this.#askMs;
      const least = this.#owner.least();
      const wanted = this.#owner.wanted(sentMs);
      if (wanted <= 0) return;
      const grant = grantOf(quota, limits, { nowUs: this.#fleet.nowUs(sentMs), wanted, least });
      if (grant.tokens === 0 && least > 1) {
        // What there is serves smaller calls meanwhile, and adds up; who wants many asks again.
        this.#owner.forgetLeast();
        tries -= 1;
        continue;
      }
      if (grant.tokens === 0) {
        this.#nextMs = Math.max(this.#nextMs, sentMs + grant.waitUs / US_PER_MS);
        this.#scatter();
        // Others may have changed it until then, or taken it away.
        this.#known = undefined;
        return;
      }
      // Until it is answered nobody knows whether the account stands.
      this.#known = undefined;
      const put = await kv.put(key, encodeQuota(grant.quota), { when: { revision } });
      if (put.done) {
        this.#known = { quota: grant.quota, revision: put.revision };
        this.#granted(grant.tokens, { sentMs, least });
        if (grant.tokens < wanted) this.#scatter();
        return;
      }
      if (tries >= TRIES) return;
      // Who was overtaken tries at once: he has waited already.
      if (tries > 1) await this.#pause(this.#conflictMs(tries));
    }
  }

  #granted(tokens: number, { sentMs, least }: { readonly sentMs: number; readonly least: number }): void {
    const { name, batchMs } = this.#options;
    const untilMs = sentMs + batchMs;
    if (this.#nowMs >= untilMs) {
      throw new TardigradeError(
        "TIMED_OUT",
        `The store answers after ${Math.round(this.#nowMs - sentMs)} ms, when a batch of ${batchMs} ms has lapsed; give batchMs several times what an answer takes.`,
        { context: { component: name } },
      );
    }
    this.#owner.granted(tokens, { untilMs, least });
  }

  async #read(): Promise<{ readonly quota: Quota; readonly revision: number }> {
    const { kv, key, name } = this.#options;
    const item = await kv.get(key);
    const quota = item === undefined ? FIRST_QUOTA : decodeQuota(item.value);
    if (quota === undefined) {
      throw new TardigradeError(
        "FORMAT_VERSION",
        `What stands under ${key} is no account of a rate limit that this version reads; give the limit another key.`,
        { context: { component: name } },
      );
    }
    this.#fleet.observe(quota.fleetUs, this.#nowMs);
    this.#known = { quota, revision: item?.modRevision ?? 0 };
    return this.#known;
  }

  /** It may be answered yet; until then it is as if it were not. */
  #overdue(): void {
    if (!this.#isOpen) return;
    this.#away(
      new TardigradeError("TIMED_OUT", `The store has not answered for ${this.#overdueMs} ms.`, {
        context: { component: this.#options.name },
      }),
    );
    this.#owner.answered();
  }

  #away(error: Error): void {
    const isFirst = this.#failure === undefined;
    this.#failure = error;
    if (isFirst && this.#isOpen) this.#owner.unreachable(error);
  }

  #failed(error: Error): void {
    this.#known = undefined;
    this.#failures += 1;
    this.#nextMs = this.#nowMs + this.#backoff(this.#failures);
    this.#away(error);
  }

  /** Where tokens are scarce: else who is nearest to the store would be there first each time that one is free. */
  #scatter(): void {
    this.#nextMs += (this.#seams.random.u32() / 2 ** 32) * this.#jitterMs;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#seams.clock.alarm(ms, resolve, { background: true }));
  }
}
