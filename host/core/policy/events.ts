/** Events of policies: typed, disposable, and free of cost while nobody listens. */
import type { CommonOptions, PolicyMeter } from "./policy.ts";

export interface Observable<Events> {
  /** Calls for every such event until it is disposed of. What a listener throws becomes an unhandled rejection and changes no decision. */
  on<Name extends keyof Events>(event: Name, listener: (detail: Events[Name]) => void): Disposable;
}

/** Tells listeners and the meter what a policy did. */
export class Reporter<Events> implements Observable<Events> {
  readonly name: string;
  readonly #meter: PolicyMeter | undefined;
  readonly #listeners = new Map<keyof Events, Set<(detail: never) => void>>();
  /** Whether it is worth making an event at all. */
  isHeard: boolean;

  constructor(kind: string, options: CommonOptions) {
    this.name = options.name ?? kind;
    this.#meter = options.meter;
    this.isHeard = options.meter !== undefined;
  }

  on<Name extends keyof Events>(event: Name, listener: (detail: Events[Name]) => void): Disposable {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    const own = (detail: Events[Name]): void => listener(detail);
    listeners.add(own);
    this.isHeard = true;
    return {
      [Symbol.dispose]: () => {
        listeners.delete(own);
        this.isHeard =
          this.#meter !== undefined || [...this.#listeners.values()].some((some) => some.size > 0);
      },
    };
  }

  /** `result` is what the meter counts. */
  tell<Name extends keyof Events>(event: Name, detail: Events[Name], result?: string): void {
    if (result !== undefined)
      this.#meter?.count("tardigrade_policy_results_total", { policy: this.name, result });
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        (listener as (detail: Events[Name]) => void)(detail);
      } catch (error) {
        void Promise.reject(error);
      }
    }
  }
}
