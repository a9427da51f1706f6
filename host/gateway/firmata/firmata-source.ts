/** The Firmata boards that the configuration names. */
import type { Backoff } from "../../core/policy/backoff.ts";
import type { SerialPorts } from "../../io/seams.ts";
import type { ProxyHost, ProxySource } from "../proxy-port.ts";
import type { FirmataBinding } from "./component.ts";
import type { FirmataDriver } from "./driver.ts";
import { FirmataBoard } from "./firmata-board.ts";

export class FirmataSource implements ProxySource {
  readonly #bindings: readonly FirmataBinding[];
  readonly #parts: { readonly ports: SerialPorts; readonly driver: FirmataDriver; readonly backoff: Backoff };
  #boards: readonly FirmataBoard[] = [];

  constructor(
    bindings: readonly FirmataBinding[],
    parts: { readonly ports: SerialPorts; readonly driver: FirmataDriver; readonly backoff: Backoff },
  ) {
    this.#bindings = bindings;
    this.#parts = parts;
  }

  open(host: ProxyHost): void {
    this.#boards = this.#bindings.map((binding) => new FirmataBoard({ binding, host, ...this.#parts }));
    for (const board of this.#boards) board.open();
  }

  close(): void {
    for (const board of this.#boards) board.close();
  }
}
