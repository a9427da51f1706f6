/** The part of WebAssembly's JavaScript interface that we use; TypeScript has it in its DOM library only. */
declare namespace WebAssembly {
  type Imports = Record<string, Record<string, unknown>>;

  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static exports(module: Module): { readonly name: string; readonly kind: string }[];
    static imports(
      module: Module,
    ): { readonly module: string; readonly name: string; readonly kind: string }[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Record<string, unknown>;
  }

  class Memory {
    constructor(options: { readonly initial: number; readonly maximum?: number });
    readonly buffer: ArrayBufferLike;
    grow(pages: number): number;
  }

  class RuntimeError extends Error {}
}
