/**
 * A call on its way through policies: its attempt, its priority, and whether it was given up. Signals are made when somebody asks for one: an
 * AbortController costs more than most decisions, and most work never looks.
 */

/** What work is told about its call. */
export interface Call {
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Aborted when the caller gives up, or a policy around the work does. Work that heeds it ends early. */
  readonly signal: AbortSignal;
}

export type Work<T> = (call: Call) => T;

export interface ExecuteOptions {
  /** Aborting rejects with its reason; to stop work that is under way, the work must heed its own signal. */
  readonly signal?: AbortSignal | undefined;
  /** For bulkheads: 0 (first) to 3. Default 0. */
  readonly priority?: number;
}

interface About {
  readonly attempt: number;
  readonly priority: number;
  /** Whether the policy that made the scope may abort it. */
  readonly isCuttable: boolean;
}

/** The call as policies see it. Its fields are few, since one is made for every call. */
export class CallScope implements Call {
  readonly #outer: CallScope | undefined;
  readonly #given: AbortSignal | undefined;
  readonly #about: About;
  #cut: { readonly reason: unknown } | undefined;
  #own: { readonly controller: AbortController; readonly unlink: () => void } | undefined;

  constructor(outer: CallScope | undefined, given: AbortSignal | undefined, about: About) {
    this.#outer = outer;
    this.#given = given;
    this.#about = about;
  }

  get attempt(): number {
    return this.#about.attempt;
  }
  get priority(): number {
    return this.#about.priority;
  }

  /** A scope within this one, which can be aborted by itself. */
  within(attempt: number = this.attempt): CallScope {
    const about =
      attempt === 1 && this.priority === 0
        ? FIRST_CUTTABLE
        : { attempt, priority: this.priority, isCuttable: true };
    return new CallScope(this, undefined, about);
  }

  /** Another attempt of the same call. */
  again(attempt: number): CallScope {
    return new CallScope(this, undefined, { attempt, priority: this.priority, isCuttable: false });
  }

  get isAborted(): boolean {
    return this.#cut !== undefined || this.#given?.aborted === true || this.#outer?.isAborted === true;
  }

  get reason(): unknown {
    if (this.#cut !== undefined) return this.#cut.reason;
    return this.#given?.aborted ? this.#given.reason : this.#outer?.reason;
  }

  /** Whether anybody can abort it. */
  get canAbort(): boolean {
    return this.#about.isCuttable || this.#given !== undefined || this.#outer?.canAbort === true;
  }

  throwIfAborted(): void {
    if (this.isAborted) throw this.reason;
  }

  get signal(): AbortSignal {
    if (this.#given !== undefined) return this.#given;
    if (this.#outer !== undefined && !this.#about.isCuttable) return this.#outer.signal;
    this.#own ??= this.#makeOwn();
    return this.#own.controller.signal;
  }

  #makeOwn() {
    const controller = new AbortController();
    if (this.isAborted) controller.abort(this.reason);
    const outer = this.isAborted ? undefined : this.#outer?.signal;
    if (outer === undefined) return { controller, unlink: nothing };
    const abort = (): void => controller.abort(outer.reason);
    outer.addEventListener("abort", abort, { once: true });
    return { controller, unlink: () => outer.removeEventListener("abort", abort) };
  }

  abort(reason: unknown): void {
    if (this.#cut !== undefined) return;
    this.#cut = { reason };
    this.#own?.controller.abort(reason);
  }

  /** Calls once when it is given up; gives the way to listen no more. */
  onAbort(listener: (reason: unknown) => void): () => void {
    if (!this.canAbort) return nothing;
    const { signal } = this;
    const abort = (): void => listener(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    return () => signal.removeEventListener("abort", abort);
  }

  /** The work is over: a caller's signal that lives on forgets this call. */
  end(): void {
    this.#own?.unlink();
  }
}

export function scopeOf(options: ExecuteOptions | undefined): CallScope {
  if (options === undefined) return new CallScope(undefined, undefined, FIRST);
  const { signal, priority = 0 } = options;
  return new CallScope(undefined, signal, priority === 0 ? FIRST : { ...FIRST, priority });
}

const FIRST: About = { attempt: 1, priority: 0, isCuttable: false };
const FIRST_CUTTABLE: About = { attempt: 1, priority: 0, isCuttable: true };

function nothing(): void {}
