/**
 * What runs between an emulated Uno and the thread beside it: bytes of the serial line, shares at the ADC, levels of pins, through two rings in shared memory. A message is a kind and its content.
 */
import type { BytesConsumer, BytesProducer, BytesRing } from "../concurrency/bytes-ring.ts";
import type { Handle } from "../concurrency/space.ts";

export type UnoMessage =
  | { readonly type: "serial"; readonly bytes: Uint8Array }
  | { readonly type: "analog"; readonly channel: number; readonly share: number }
  | { readonly type: "output"; readonly pin: number; readonly level: 0 | 1 };

/** What the worker is started with. */
export interface UnoWires {
  readonly flash: Uint8Array;
  readonly toBoard: Handle<BytesRing>;
  readonly fromBoard: Handle<BytesRing>;
}

/** Of each ring: a serial line of 115,200 baud brings 11 KB a second. */
export const WIRE_BYTES = 65_536;
const SERIAL_BYTES_MAX = 4096;
/** Messages that wait for room in a ring. */
const WAITING_MAX = 1000;

const KIND = { serial: 0, analog: 1, output: 2 } as const;
const ANALOG_BYTES = 6;

/** In order; waits while the other side is behind. */
export class UnoSender {
  readonly #producer: BytesProducer;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(producer: BytesProducer) {
    this.#producer = producer;
  }

  send(message: UnoMessage): void {
    // A line that nobody empties loses what comes.
    if (this.#waiting >= WAITING_MAX) return;
    for (const bytes of encoded(message)) {
      this.#waiting += 1;
      this.#last = this.#last
        .then(() => this.#producer.push(bytes))
        // The other side is gone: whoever started it knows.
        .catch(() => undefined)
        .finally(() => {
          this.#waiting -= 1;
        });
    }
  }
}

/** Calls back for each until the other side closes or is gone. */
export async function receiveUno(
  consumer: BytesConsumer,
  take: (message: UnoMessage) => void,
): Promise<void> {
  for await (const bytes of consumer) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const kind = view.getUint8(0);
    // A copy: the ring's room is used again.
    if (kind === KIND.serial) take({ type: "serial", bytes: new Uint8Array(bytes.subarray(1)) });
    else if (kind === KIND.analog)
      take({ type: "analog", channel: view.getUint8(1), share: view.getFloat32(2, true) });
    else take({ type: "output", pin: view.getUint8(1), level: view.getUint8(2) === 0 ? 0 : 1 });
  }
}

function encoded(message: UnoMessage): readonly Uint8Array[] {
  if (message.type === "output") return [Uint8Array.of(KIND.output, message.pin, message.level)];
  if (message.type === "analog") {
    const view = new DataView(new ArrayBuffer(ANALOG_BYTES));
    view.setUint8(0, KIND.analog);
    view.setUint8(1, message.channel);
    view.setFloat32(2, message.share, true);
    return [new Uint8Array(view.buffer)];
  }
  const parts: Uint8Array[] = [];
  for (let at = 0; at < message.bytes.length; at += SERIAL_BYTES_MAX) {
    const piece = message.bytes.subarray(at, at + SERIAL_BYTES_MAX);
    const part = new Uint8Array(1 + piece.length);
    part[0] = KIND.serial;
    part.set(piece, 1);
    parts.push(part);
  }
  return parts;
}
