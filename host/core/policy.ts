/**
 * What the policies share. A policy runs work: a plain function gives its value at once, an async one its promise. Policies
 * read time and wait through a clock given to them, which a simulation can drive.
 */

/** The part of the Clock seam that policies use. */
export interface PolicyClock {
  monotonicMs(): number;
  alarm(delayMs: number, call: () => void, options?: { readonly background?: boolean }): () => void;
}

/** What the work is told about its call. */
export interface Call {
  readonly signal: AbortSignal | undefined;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

export type Work<T> = (call: Call) => T;

export interface RunOptions {
  /** Aborting rejects with its reason; to stop work that is under way, the work must heed it. */
  readonly signal?: AbortSignal | undefined;
  /** Set by a retry around this policy. */
  readonly attempt?: number;
}

/** Runs work at once, so plain work stays plain. */
export interface DirectPolicy {
  readonly kind: "direct";
  run<T>(work: Work<T>, options?: RunOptions): T;
}

/** May wait, so there is always a promise. */
export interface AsyncPolicy {
  readonly kind: "async";
  run<T>(work: Work<T>, options?: RunOptions): Promise<Awaited<T>>;
}

export type Policy = DirectPolicy | AsyncPolicy;

export function callOf(options: RunOptions | undefined): Call {
  return { signal: options?.signal, attempt: options?.attempt ?? 1 };
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** Combines policies, the first outermost: wrap(retry, breaker) asks the breaker again at each attempt. */
export function wrap(...policies: readonly DirectPolicy[]): DirectPolicy;
export function wrap(...policies: readonly Policy[]): AsyncPolicy;
export function wrap(...policies: readonly Policy[]): Policy {
  const through = <T>(index: number, work: Work<T>, options: RunOptions | undefined): unknown => {
    const policy = policies[index];
    if (policy === undefined) return work(callOf(options));
    return policy.run((call) => through(index + 1, work, call), options);
  };
  if (policies.every((policy) => policy.kind === "direct")) {
    return {
      kind: "direct",
      run: <T>(work: Work<T>, options?: RunOptions) => through(0, work, options) as T,
    };
  }
  const asyncPolicy: AsyncPolicy = {
    kind: "async",
    run: async (work, options) => (await through(0, work, options)) as never,
  };
  return asyncPolicy;
}
