/** A client's connection to one node, as messages (service/protocol.ts). */
import type { Dispose } from "../../io/seams.ts";

export interface KvChannel {
  /** Copies. What is sent after the channel closed goes nowhere. */
  send(request: Uint8Array): void;
  /** `response` is good during the call. One listener. */
  onResponse(listener: (response: Uint8Array) => void): Dispose;
  /** Called once. */
  onClose(listener: () => void): Dispose;
  close(): void;
}

/** Opens a connection to an address such as 127.0.0.1:7201, as far as bytes can be sent. Rejects when nobody answers. */
export type OpenKvChannel = (address: string) => Promise<KvChannel>;
