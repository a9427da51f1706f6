/**
 * A client of etcd as lean as ours, so that what is compared is the stores: gRPC on one HTTP/2 connection of Node, the few messages
 * that are needed (etcd 3.4, rpc.proto) written by hand. It gives etcd better figures than the packages for it do (docs/benchmarks.md).
 *
 *   a gRPC message   compressed u8 | bytes u32, big-endian | protobuf
 */
import { type ClientHttp2Session, connect } from "node:http2";

const PUT = "/etcdserverpb.KV/Put";
const RANGE = "/etcdserverpb.KV/Range";
const STATUS = "/etcdserverpb.Maintenance/Status";
const FRAME_BYTES = 5;
const WINDOW_BYTES = 16 * 1024 * 1024;
const utf8 = new TextEncoder();
const text = new TextDecoder();

export class EtcdClient {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  static open(port: number): Promise<EtcdClient> {
    return new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: WINDOW_BYTES } });
      session.once("error", reject);
      session.once("connect", () => {
        session.setLocalWindowSize(WINDOW_BYTES);
        resolve(new EtcdClient(session));
      });
    });
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#call(PUT, concat([bytesField(1, utf8.encode(key)), bytesField(2, value)]));
  }

  /** Keys and values with from <= key < to, at most `limit`. */
  async range(from: string, to: string, limit: number): Promise<{ key: string; value: Uint8Array }[]> {
    const request = concat([
      bytesField(1, utf8.encode(from)),
      bytesField(2, utf8.encode(to)),
      numberField(3, limit),
    ]);
    const items: { key: string; value: Uint8Array }[] = [];
    for (const { field, bytes } of fields(await this.#call(RANGE, request))) {
      if (field !== 2) continue;
      const pair = fields(bytes);
      const part = (number: number) => pair.find((one) => one.field === number)?.bytes ?? new Uint8Array(0);
      items.push({ key: text.decode(part(1)), value: part(5) });
    }
    return items;
  }

  /** Whether the member that answers leads. */
  async leads(): Promise<boolean> {
    const status = fields(await this.#call(STATUS, new Uint8Array(0)));
    const header = fields(status.find(({ field }) => field === 1)?.bytes ?? new Uint8Array(0));
    const leader = status.find(({ field }) => field === 4)?.number ?? 0n;
    return leader !== 0n && leader === header.find(({ field }) => field === 2)?.number;
  }

  close(): void {
    this.#session.destroy();
  }

  #call(path: string, message: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const chunks: Uint8Array[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.once("error", reject);
      stream.once("trailers", (trailers) => {
        if (Number(trailers["grpc-status"]) !== 0)
          reject(new Error(`etcd refused: ${trailers["grpc-message"]}`));
        else
          resolve((chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks)).subarray(FRAME_BYTES));
      });
      // Where it ended otherwise; a promise that is settled takes no second answer.
      stream.once("close", () => reject(new Error("etcd ended the call")));
      const frame = new Uint8Array(FRAME_BYTES + message.length);
      new DataView(frame.buffer).setUint32(1, message.length);
      frame.set(message, FRAME_BYTES);
      stream.end(frame);
    });
  }
}

interface Field {
  readonly field: number;
  readonly number: bigint;
  readonly bytes: Uint8Array;
}

/** Varints and bytes: nothing else comes in what we ask for. */
function fields(message: Uint8Array): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at] as number;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = varint();
    const length = (tag & 7) === 2 ? Number(number) : 0;
    found.push({ field: tag >>> 3, number, bytes: message.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.of((field << 3) | 2), varint(value.length), value]);
}

function numberField(field: number, value: number): Uint8Array {
  return concat([Uint8Array.of(field << 3), varint(value)]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
