/**
 * The core as the host sees it: one WebAssembly instance, its memory and its raw exports, typed.
 *
 * Whoever has the module's bytes gives them; this file reads no disk. The instance is synchronous and belongs to one
 * thread. Creating a pool item may grow the memory, which detaches every view of it: ask `bytes()` anew after creating.
 */
import { errorCodeOf, TardigradeError } from "../../protocols/error.ts";
import type { ErrorCode } from "../../protocols/table.ts";
import type { CoreExports } from "./core-exports.ts";

export interface Core {
  readonly raw: CoreExports;
  /** All of the memory as it is now; stale after anything is created or allocated. */
  bytes(): Uint8Array<ArrayBuffer>;
  /** The same as words. */
  words(): Uint32Array<ArrayBuffer>;
  /** Takes memory for a buffer, for as long as the core lives. */
  allocate(bytes: number): number;
}

/** Instantiates the bytes of build/core.wasm. */
export function openCore(wasm: Uint8Array<ArrayBuffer>): Core {
  return coreOf(new WebAssembly.Instance(new WebAssembly.Module(wasm)));
}

/** Wraps an instance made elsewhere, as the typed plane makes one. */
export function coreOf(instance: WebAssembly.Instance): Core {
  const raw = instance.exports as unknown as CoreExports;
  let view = new Uint8Array(raw.memory.buffer as ArrayBuffer);
  let wordView = new Uint32Array(raw.memory.buffer as ArrayBuffer);
  return {
    raw,
    bytes: () => {
      if (view.buffer !== raw.memory.buffer) view = new Uint8Array(raw.memory.buffer as ArrayBuffer);
      return view;
    },
    words: () => {
      if (wordView.buffer !== raw.memory.buffer) wordView = new Uint32Array(raw.memory.buffer as ArrayBuffer);
      return wordView;
    },
    allocate: (bytes) => raw.allocate(bytes),
  };
}

/** The name of a negative status. */
export function codeOfStatus(status: number): ErrorCode {
  return errorCodeOf(-status) ?? "INTERNAL";
}

/** A handle as it is, or the error its negative means. */
export function checkHandle(status: number, message: string): number {
  if (status > 0) return status;
  throw new TardigradeError(codeOfStatus(status), message, { context: { component: "core" } });
}
