/**
 * One token bucket of the core for each key that comes from outside (an address, a name). The table is bounded: at KEYS_MAX the key
 * that was longest unused makes room, which can only forgive, never refuse, somebody.
 */
import type { RateLimit } from "../../core/policy/rate-limit.ts";

export const KEYS_MAX = 1024;

export class KeyedLimiter {
  readonly #create: () => RateLimit;
  readonly #keysMax: number;
  readonly #limiters = new Map<string, RateLimit>();

  constructor(create: () => RateLimit, keysMax: number = KEYS_MAX) {
    this.#create = create;
    this.#keysMax = keysMax;
  }

  /** True when a token was taken. */
  take(key: string): boolean {
    return this.#of(key).tryAcquire() === 0;
  }

  /** Milliseconds until one could be taken, 0 when now. A key that nobody used yet has room and takes none in the table. */
  waitMs(key: string): number {
    return this.#limiters.get(key)?.waitMs() ?? 0;
  }

  close(): void {
    for (const limiter of this.#limiters.values()) limiter.close();
    this.#limiters.clear();
  }

  #of(key: string): RateLimit {
    const known = this.#limiters.get(key);
    if (known !== undefined) {
      // Newest last.
      this.#limiters.delete(key);
      this.#limiters.set(key, known);
      return known;
    }
    if (this.#limiters.size >= this.#keysMax) {
      const [oldest, limiter] = this.#limiters.entries().next().value as [string, RateLimit];
      this.#limiters.delete(oldest);
      limiter.close();
    }
    const limiter = this.#create();
    this.#limiters.set(key, limiter);
    return limiter;
  }
}
