/** Policies around policies. */
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { closedError, executeBy, executeSyncBy, type Policy, type SyncPolicy } from "./policy.ts";

/**
 * Combines policies, the first outermost: wrap(retry, breaker) asks the breaker again at each attempt. It owns none of them, so that one may be part of
 * several: close() closes the combination alone.
 */
export function wrap(...policies: readonly SyncPolicy[]): SyncPolicy;
export function wrap(...policies: readonly Policy[]): Policy;
export function wrap(...policies: readonly Policy[]): Policy {
  const name = policies.map((policy) => policy.name).join(" > ");
  let isClosed = false;
  const through = <T>(index: number, work: Work<T>, call: CallScope): T | Promise<Awaited<T>> => {
    const policy = policies[index];
    if (policy === undefined) return work(call);
    if (index === policies.length - 1) return policy.run(work, call);
    return policy.run((inner) => through(index + 1, work, inner as CallScope), call) as
      | T
      | Promise<Awaited<T>>;
  };
  const run = <T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> => {
    if (isClosed) throw closedError(name);
    return through(0, work, call);
  };
  const close = (): void => {
    isClosed = true;
  };
  const combined = {
    name,
    run,
    execute: <T>(work: Work<T>, options?: ExecuteOptions) => executeBy({ run }, work, options),
    close,
    [Symbol.dispose]: close,
  };
  if (!policies.every((policy) => "executeSync" in policy)) return combined;
  return {
    ...combined,
    executeSync: <T>(work: Work<T>, options?: ExecuteOptions) => executeSyncBy({ run }, work, options),
  } as SyncPolicy;
}
