/**
 * The closed breaker's path without a call into the core: a breaker is closed nearly always, and then to acquire is a comparison and a counter, to report
 * a success of a breaker without a window another one. A call from JavaScript into WebAssembly costs several times that.
 *
 * It works on the breaker's struct where it lies (assembly/resilience/breaker.ts draws it), so the core decides everything else on the same state, and knows
 * nothing of this. Every use first asks whether the struct is where it was: the pool may have moved (its `items` differ), the handle may have been freed, and
 * memory that grew detaches its views, which then read as undefined.
 */
import type { Core } from "../core.ts";

/** Words from the struct's begin; the item's header lies before it. */
const HANDLE = -4;
const GENERATION = 5;
/** State u8, hasWindow u8, callsMin u16. */
const STATE = 6;
/** consecutiveMax u16, consecutive u16. */
const CONSECUTIVE = 9;
const GRANTED = 12;
const RETURNED = 13;
const STATE_MASK = 0xff;

export class ClosedBreaker {
  readonly #core: Core;
  readonly #handle: number;
  readonly #pool: number;
  #words: Uint32Array;
  #items = 0;
  #at = 0;

  constructor(core: Core, handle: number) {
    this.#core = core;
    this.#handle = handle;
    this.#pool = core.raw.breakersPool() >>> 2;
    this.#words = core.words();
    this.#locate();
  }

  #locate(): void {
    this.#words = this.#core.words();
    this.#items = this.#words[this.#pool] ?? 0;
    this.#at = this.#core.raw.breakerAt(this.#handle) >>> 2;
  }

  #isThere(): boolean {
    if (this.#words[this.#pool] === this.#items) return this.#words[this.#at + HANDLE] === this.#handle;
    this.#locate();
    return this.#at !== 0;
  }

  /** A permit, or 0 when the core has to decide. */
  acquire(): number {
    if (!this.#isThere()) return 0;
    const words = this.#words;
    const at = this.#at;
    if (((words[at + STATE] ?? 1) & STATE_MASK) !== 0) return 0;
    words[at + GRANTED] = (words[at + GRANTED] ?? 0) + 1;
    return (words[at + GENERATION] ?? 0) + 1;
  }

  /** Whether a success was taken in; else the core has to. */
  succeeded(permit: number): boolean {
    if (!this.#isThere()) return false;
    const words = this.#words;
    const at = this.#at;
    // Closed, without a window, no failure to forget, a permit of now that is out.
    if (words[at + STATE] !== 0 || (words[at + CONSECUTIVE] ?? 0) >>> 16 !== 0) return false;
    const returned = words[at + RETURNED] ?? 0;
    if (permit !== (words[at + GENERATION] ?? 0) + 1 || returned === words[at + GRANTED]) return false;
    words[at + RETURNED] = returned + 1;
    return true;
  }
}
