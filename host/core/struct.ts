/** A struct of the core that an object of the host owns: its memory is taken here, and given back when the object is disposed of. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus } from "./core.ts";
import { giveRegion, type Region, takeRegion } from "./regions.ts";

export class Struct implements Disposable {
  readonly core: Core;
  readonly #name: string;
  readonly #region: Region;
  #isOpen = true;

  constructor(core: Core, bytes: number, name: string) {
    this.core = core;
    this.#name = name;
    this.#region = takeRegion(core, bytes);
  }
  /** Throws ARGUMENT when it was disposed of. */
  get at(): number {
    if (!this.#isOpen) throw argument(this.#name, `This ${this.#name} was disposed of.`);
    return this.#region.at;
  }
  /** Passes 0 and more on; else gives the memory back and throws what the status means. */
  check(status: number, message: string): void {
    if (status >= 0) return;
    this[Symbol.dispose]();
    throw new TardigradeError(codeOfStatus(status), message, { context: { component: this.#name } });
  }
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    giveRegion(this.core, this.#region);
  }
}

export function argument(component: string, message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message, { context: { component } });
}
