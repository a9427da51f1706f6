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

/** The call as policies see it. */
export class CallScope implements Call {
  readonly attempt: number;
  readonly priority: number;
  readonly #outer: CallScope | undefined;
  readonly #given: AbortSignal | undefined;
  /** Whether the policy that made it may abort it. */
  readonly #isCuttable: boolean;
  #controller: AbortController | undefined;
  #isCut = false;
  #reason: unknown;
  #unlink: (() => void) | undefined;

  constructor(
    outer: CallScope | undefined,
    given: AbortSignal | undefined,
    about: { readonly attempt: number; readonly priority: number; readonly isCuttable: boolean },
  ) {
    this.#outer = outer;
    this.#given = given;
    this.attempt = about.attempt;
    this.priority = about.priority;
    this.#isCuttable = about.isCuttable;
  }

  /** A scope within this one, which can be aborted by itself. */
  within(attempt: number = this.attempt): CallScope {
    return new CallScope(this, undefined, { attempt, priority: this.priority, isCuttable: true });
  }

  /** Another attempt of the same call. */
  again(attempt: number): CallScope {
    return new CallScope(this, undefined, { attempt, priority: this.priority, isCuttable: false });
  }

  get isAborted(): boolean {
    return this.#isCut || this.#given?.aborted === true || this.#outer?.isAborted === true;
  }

  get reason(): unknown {
    if (this.#isCut) return this.#reason;
    return this.#given?.aborted ? this.#given.reason : this.#outer?.reason;
  }

  /** Whether anybody can abort it. */
  get canAbort(): boolean {
    return this.#isCuttable || this.#given !== undefined || this.#outer?.canAbort === true;
  }

  throwIfAborted(): void {
    if (this.isAborted) throw this.reason;
  }

  get signal(): AbortSignal {
    if (this.#given !== undefined) return this.#given;
    if (this.#outer !== undefined && !this.#isCuttable) return this.#outer.signal;
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.isAborted) controller.abort(this.reason);
      else if (this.#outer !== undefined) {
        const outer = this.#outer.signal;
        const abort = (): void => controller.abort(outer.reason);
        outer.addEventListener("abort", abort, { once: true });
        this.#unlink = () => outer.removeEventListener("abort", abort);
      }
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
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
    this.#unlink?.();
  }
}

export function scopeOf(options: ExecuteOptions | undefined): CallScope {
  if (options === undefined) return new CallScope(undefined, undefined, FIRST);
  const { signal, priority = 0 } = options;
  return new CallScope(undefined, signal, priority === 0 ? FIRST : { ...FIRST, priority });
}

const FIRST = { attempt: 1, priority: 0, isCuttable: false };

function nothing(): void {}
