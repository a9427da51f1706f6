/** What speaks Firmata for the gateway: johnny-five in host/io/firmata.ts, a stand-in in tests of the states around it. */
import type { Value } from "../../../protocols/messages.generated.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import type { ByteStream } from "../../io/seams.ts";
import type { Component } from "./component.ts";

export interface FirmataHandlers {
  /** A reading, or another state of a button. */
  onValue(component: string, value: number | boolean): void;
  /** A component that cannot be, or bytes that are no Firmata; the session goes on. */
  onProblem(code: ErrorCode, message: string): void;
  /** Any whole message of the board. */
  onHeard(): void;
}

export interface FirmataSession {
  /** Of the sketch, such as StandardFirmata and 2.3. */
  readonly firmware: string;
  readonly version: string;
  /** States of the components that were made, as they are now. */
  readonly states: Readonly<Record<string, Value>>;
  /** Takes what problemWith() let pass; false when the component could not be made. Throws ARGUMENT beyond the pin's ability. */
  set(component: string, value: Value): boolean;
  /** Asks for any answer. */
  ping(): void;
  close(): void;
}

export interface FirmataDriver {
  /**
   * The handshake (version, firmware, capabilities, analog mapping), then the components. Never settles while the board is silent:
   * whoever calls sets the limit, and closes the stream then. Rejects with DEPENDENCY_MISSING.
   */
  open(
    stream: ByteStream,
    components: readonly Component[],
    handlers: FirmataHandlers,
  ): Promise<FirmataSession>;
}
