/**
 * Both planes on one instance: the typed one of protocols/wit/core.wit for creating and inspecting, the raw one for
 * decisions, captured while jco's transpiled code instantiates the module. A typed call costs microseconds, a raw one
 * nanoseconds; a handle means the same to both.
 */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus, coreOf } from "./core.ts";

export interface BreakerOptionsRecord {
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
  readonly nowMs: number;
}

export interface BreakerView {
  readonly state: "closed" | "open" | "half-open" | "forced-open" | "disabled";
  readonly inFlight: number;
  readonly probesOut: number;
  readonly granted: number;
  readonly refused: number;
  readonly opened: number;
  readonly waitMs: number;
  readonly windowCalls: number;
  readonly windowFailures: number;
  readonly windowSlow: number;
}

export interface LimiterOptionsRecord {
  readonly algorithm: "token-bucket" | "gcra" | "fixed-window" | "sliding-counter" | "sliding-log";
  readonly limit: number;
  readonly periodUs: number;
  readonly burst: number;
  /** Of a sliding log: address of room for `limit` times 8 bytes. */
  readonly entries: number;
  readonly nowMs: number;
}

export interface LimiterView {
  readonly remaining: number;
  readonly granted: number;
  readonly refused: number;
  readonly resetMs: number;
  readonly waitMs: number;
}

export interface PoolView {
  readonly used: number;
  readonly capacity: number;
}

/** The world's interface. A failed result throws a TardigradeError. */
export interface TypedPlane {
  createBreaker(options: BreakerOptionsRecord): number;
  inspectBreaker(handle: number, nowMs: number): BreakerView;
  freeBreaker(handle: number): void;
  createLimiter(options: LimiterOptionsRecord): number;
  inspectLimiter(handle: number, nowMs: number): LimiterView;
  freeLimiter(handle: number): void;
  inspectPools(): Readonly<Record<"breakers" | "limiters" | "averages" | "clocks", PoolView>>;
}

/** `instantiate` of build/core-component/core.js. */
export type Instantiate = (
  getCoreModule: (path: string) => WebAssembly.Module,
  imports: Record<string, never>,
  instantiateCore: (module: WebAssembly.Module, imports: WebAssembly.Imports) => WebAssembly.Instance,
) => { readonly policies: TypedPlane };

export interface Planes {
  readonly core: Core;
  readonly typed: TypedPlane;
}

/** `wasm` is build/core-component/core.core.wasm. */
export function openPlanes(instantiate: Instantiate, wasm: Uint8Array<ArrayBuffer>): Planes {
  let captured: WebAssembly.Instance | undefined;
  const { policies } = instantiate(
    () => new WebAssembly.Module(wasm),
    {},
    (module, imports) => {
      captured = new WebAssembly.Instance(module, imports);
      return captured;
    },
  );
  if (captured === undefined) throw new Error("the transpiled component instantiated no module");
  return { core: coreOf(captured), typed: withErrors(policies) };
}

function withErrors(plane: TypedPlane): TypedPlane {
  const wrap =
    <A extends readonly unknown[], R>(operation: string, call: (...args: A) => R) =>
    (...args: A): R => {
      try {
        return call(...args);
      } catch (error) {
        // jco throws the error of a result as it is in the world: the number of a code.
        if (typeof error !== "number") throw error;
        throw new TardigradeError(
          codeOfStatus(-error),
          `The core refused ${operation}: an option is out of range, or the handle names nothing.`,
          { context: { component: "core", operation } },
        );
      }
    };
  return {
    createBreaker: wrap("createBreaker", plane.createBreaker),
    inspectBreaker: wrap("inspectBreaker", plane.inspectBreaker),
    freeBreaker: wrap("freeBreaker", plane.freeBreaker),
    createLimiter: wrap("createLimiter", plane.createLimiter),
    inspectLimiter: wrap("inspectLimiter", plane.inspectLimiter),
    freeLimiter: wrap("freeLimiter", plane.freeLimiter),
    inspectPools: wrap("inspectPools", plane.inspectPools),
  };
}
