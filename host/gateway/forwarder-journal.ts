/**
 * The forwarder's memory across a crash: every packet of an open QoS 2 flow with its packet id, and the log offset up to which
 * packets were made. An append-only file, synced in groups; when it has grown it is written anew with what is still open.
 *
 * Why a packet must be on disk before it is sent: after a crash the receiver may have it or not, and only the same packet id
 * lets it tell a repetition from a new message (MQTT 3.1.1, section 4.3.3). Why its offset stands in the same record: a
 * packet made and an offset moved are one fact.
 *
 * ```
 *   header  "TFWD" u32, version u32, salt u32, CRC-32 u32
 *   record  length u32, CRC-32 (seeded with the salt) u32, type u8, messageId u16, offset f64, topic length u16, topic, payload
 *           type 1 publish, 2 pubrel, 3 removed, 4 cursor
 * ```
 * Reading ends at the first record that is not whole: what follows was never synced, so nobody was told of it.
 */
import { crc32 } from "../../protocols/crc.ts";
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { Clock, Disk, DiskFile, Dispose, OutgoingPacket, PacketStore, Random } from "../io/seams.ts";

const MAGIC = 0x44574654;
const VERSION = 1;
const HEADER_BYTES = 16;
const RECORD_HEAD_BYTES = 8;
const FIXED_BYTES = 13;
const TYPE = { publish: 1, pubrel: 2, removed: 3, cursor: 4 } as const;
/** Written anew when it is this large and mostly of closed flows. */
export const COMPACT_BYTES = 4 * 1024 * 1024;
const FULL_RETRY_MS = 1000;

interface Flow extends OutgoingPacket {
  readonly offset: number;
}

interface Pending {
  readonly bytes: Uint8Array;
  readonly done: ((error?: Error) => void) | undefined;
}

export interface ForwarderJournalOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly compactBytes?: number;
  /** A flow was completed. */
  readonly onRemoved: () => void;
  /** A sync failed; nothing more is sent. */
  readonly onFailed: (error: Error) => void;
}

export class ForwarderJournal implements PacketStore {
  readonly #options: ForwarderJournalOptions;
  #file: DiskFile;
  #salt: number;
  #sizeBytes = HEADER_BYTES;
  readonly #flows = new Map<number, Flow>();
  #lastOffset = -1;
  #pending: Pending[] = [];
  /** Written, not yet synced. */
  #committing: Pending[] = [];
  #writing = false;
  #idle: (() => void)[] = [];
  #retry: Dispose | undefined;
  #failure: Error | undefined;
  #closed = false;

  /** For openForwarderJournal(). */
  constructor(
    options: ForwarderJournalOptions,
    opened: {
      readonly file: DiskFile;
      readonly salt: number;
      readonly sizeBytes: number;
      readonly recovered: Recovered;
    },
  ) {
    this.#options = options;
    this.#file = opened.file;
    this.#salt = opened.salt;
    this.#sizeBytes = opened.sizeBytes;
    this.#lastOffset = opened.recovered.lastOffset;
    for (const flow of opened.recovered.flows.values()) this.#flows.set(flow.messageId, flow);
  }

  /** Offset of the newest record that became a packet; -1 before the first. */
  get lastOffset(): number {
    return this.#lastOffset;
  }

  get outstandingCount(): number {
    return this.#flows.size;
  }

  put(packet: OutgoingPacket, offset: number, done: (error?: Error) => void): void {
    const before = this.#flows.get(packet.messageId);
    if (packet.state === "pubrel" && before === undefined) {
      // A receipt that came again after the flow was complete; there is nothing to keep.
      done();
      return;
    }
    const flow: Flow = {
      ...packet,
      payload: packet.payload.slice(),
      offset: packet.state === "pubrel" ? (before?.offset ?? -1) : offset,
    };
    // A pubrel keeps its publish's place in the order; a new publish under a used id goes to the end.
    if (packet.state === "publish") this.#flows.delete(packet.messageId);
    this.#flows.set(packet.messageId, flow);
    if (flow.offset > this.#lastOffset) this.#lastOffset = flow.offset;
    this.#append(TYPE[packet.state], flow, done);
  }

  remove(messageId: number): void {
    const flow = this.#flows.get(messageId);
    if (flow === undefined) return;
    this.#flows.delete(messageId);
    // Nobody waits for it: were it lost, the release would be sent once more, which the receiver answers and forgets.
    this.#append(TYPE.removed, { ...flow, topic: "", payload: new Uint8Array(0) }, undefined);
    this.#options.onRemoved();
  }

  get(messageId: number): OutgoingPacket | undefined {
    return this.#flows.get(messageId);
  }

  outstanding(done: (packets: readonly OutgoingPacket[]) => void): void {
    if (this.#writing) this.#idle.push(() => done([...this.#flows.values()]));
    else done([...this.#flows.values()]);
  }

  async close(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#closed = true;
    this.#retry?.();
    await this.#file.close();
  }

  #append(type: number, flow: Flow, done: ((error?: Error) => void) | undefined): void {
    if (this.#failure !== undefined || this.#closed) {
      done?.(this.#failure ?? new TardigradeError("LINK_DOWN", "The forwarder is closed."));
      return;
    }
    this.#pending.push({ bytes: encodeFlow(type, flow, this.#salt), done });
    if (this.#writing) return;
    this.#writing = true;
    this.#commit().catch((error: unknown) => this.#fail(error));
  }

  /** One write and one sync for everything that came meanwhile. */
  async #commit(): Promise<void> {
    while (this.#pending.length > 0) {
      const group = this.#pending;
      const bytes = concat(group.map((one) => one.bytes));
      try {
        this.#file.write(this.#sizeBytes, bytes);
      } catch (error) {
        if (!isTardigradeError(error) || error.code !== "DISK_FULL") throw error;
        await this.#roomLater();
        if (this.#closed) return;
        continue;
      }
      this.#pending = [];
      this.#committing = group;
      await this.#file.sync();
      this.#committing = [];
      this.#sizeBytes += bytes.length;
      for (const { done } of group) done?.();
      if (this.#sizeBytes > (this.#options.compactBytes ?? COMPACT_BYTES)) await this.#compact();
    }
    this.#writing = false;
    for (const call of this.#idle.splice(0)) call();
  }

  #roomLater(): Promise<void> {
    return new Promise((resolve) => {
      this.#retry = this.#options.clock.alarm(FULL_RETRY_MS, resolve, { background: true });
    });
  }

  async #compact(): Promise<void> {
    // Flows put since are in both; a later record wins.
    const salt = this.#options.random.u32();
    const image = imageOf({ flows: this.#flows, lastOffset: this.#lastOffset }, salt);
    let file: DiskFile;
    try {
      file = await writeImage(this.#options.disk, this.#options.folder, image);
    } catch (error) {
      // Without room the old file goes on growing record by record, which fails or not by itself.
      if (isTardigradeError(error) && error.code === "DISK_FULL") return;
      throw error;
    }
    const old = this.#file;
    this.#file = file;
    this.#salt = salt;
    this.#sizeBytes = image.length;
    this.#pending = this.#pending.map(({ bytes, done }) => ({ bytes: resalted(bytes, salt), done }));
    await old.close();
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.#failure = failure;
    const waiting = [...this.#committing.splice(0), ...this.#pending.splice(0)];
    this.#writing = false;
    for (const { done } of waiting) done?.(failure);
    for (const call of this.#idle.splice(0)) call();
    this.#options.onFailed(failure);
  }
}

interface Recovered {
  readonly flows: ReadonlyMap<number, Flow>;
  readonly lastOffset: number;
}

/** Rejects with FORMAT_VERSION or a disk error. A file that was never whole counts as none. */
export async function openForwarderJournal(options: ForwarderJournalOptions): Promise<ForwarderJournal> {
  const { disk, folder, random } = options;
  await disk.makeFolder(folder);
  // The folder's own name must survive too, or the journal goes with it.
  for (const above of foldersAbove(folder)) await disk.syncFolder(above);
  const recovered = await recover(disk, folder);
  // A fresh file: nothing of an earlier life can follow what this one writes.
  const salt = random.u32();
  const image = imageOf(recovered, salt);
  const file = await writeImage(disk, folder, image);
  return new ForwarderJournal(options, { file, salt, sizeBytes: image.length, recovered });
}

function foldersAbove(folder: string): string[] {
  const names = folder.split("/").slice(0, -1);
  return [".", ...names.map((_, depth) => names.slice(0, depth + 1).join("/"))];
}

async function recover(disk: Disk, folder: string): Promise<Recovered> {
  const names = await disk.list(folder);
  if (!names.includes("journal")) return { flows: new Map(), lastOffset: -1 };
  const file = await disk.open(`${folder}/journal`);
  try {
    return replay(await file.read(0, file.sizeBytes()));
  } finally {
    await file.close();
  }
}

function replay(bytes: Uint8Array): Recovered {
  const flows = new Map<number, Flow>();
  let lastOffset = -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) return { flows, lastOffset };
  if (view.getUint32(12, true) !== crc32(bytes.subarray(0, 12))) return { flows, lastOffset };
  if (view.getUint32(4, true) !== VERSION) {
    throw new TardigradeError(
      "FORMAT_VERSION",
      `The forwarder's journal has version ${view.getUint32(4, true)}, this program reads ${VERSION}.`,
    );
  }
  const salt = view.getUint32(8, true);
  let at = HEADER_BYTES;
  while (at + RECORD_HEAD_BYTES + FIXED_BYTES <= bytes.length) {
    const end = at + RECORD_HEAD_BYTES + view.getUint32(at, true);
    if (end > bytes.length || end < at + RECORD_HEAD_BYTES + FIXED_BYTES) break;
    if (view.getUint32(at + 4, true) !== crc32(bytes.subarray(at + RECORD_HEAD_BYTES, end), salt)) break;
    const { type, flow } = decodeFlow(bytes.subarray(at + RECORD_HEAD_BYTES, end));
    if (flow.offset > lastOffset) lastOffset = flow.offset;
    if (type === TYPE.removed || type === TYPE.publish) flows.delete(flow.messageId);
    if (type === TYPE.publish || type === TYPE.pubrel) flows.set(flow.messageId, flow);
    at = end;
  }
  return { flows, lastOffset };
}

function imageOf(content: Recovered, salt: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, salt, true);
  view.setUint32(12, crc32(header.subarray(0, 12)), true);
  const cursor: Flow = {
    state: "publish",
    messageId: 0,
    topic: "",
    payload: new Uint8Array(0),
    offset: content.lastOffset,
  };
  const records = [...content.flows.values()].map((flow) => encodeFlow(TYPE[flow.state], flow, salt));
  return concat([header, encodeFlow(TYPE.cursor, cursor, salt), ...records]);
}

async function writeImage(disk: Disk, folder: string, image: Uint8Array): Promise<DiskFile> {
  const next = `${folder}/journal.next`;
  if ((await disk.list(folder)).includes("journal.next")) await disk.remove(next);
  const file = await disk.open(next, { create: true });
  file.write(0, image);
  await file.sync();
  await disk.rename(next, `${folder}/journal`);
  await disk.syncFolder(folder);
  return file;
}

function encodeFlow(type: number, flow: Flow, salt: number): Uint8Array {
  const topic = new TextEncoder().encode(flow.topic);
  const length = FIXED_BYTES + topic.length + flow.payload.length;
  const bytes = new Uint8Array(RECORD_HEAD_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint8(8, type);
  view.setUint16(9, flow.messageId, true);
  view.setFloat64(11, flow.offset, true);
  view.setUint16(19, topic.length, true);
  bytes.set(topic, RECORD_HEAD_BYTES + FIXED_BYTES);
  bytes.set(flow.payload, RECORD_HEAD_BYTES + FIXED_BYTES + topic.length);
  return resalted(bytes, salt);
}

function resalted(bytes: Uint8Array, salt: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(4, crc32(bytes.subarray(RECORD_HEAD_BYTES), salt), true);
  return bytes;
}

function decodeFlow(bytes: Uint8Array): { readonly type: number; readonly flow: Flow } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = view.getUint8(0);
  const topicEnd = FIXED_BYTES + view.getUint16(11, true);
  return {
    type,
    flow: {
      state: type === TYPE.pubrel ? "pubrel" : "publish",
      messageId: view.getUint16(1, true),
      offset: view.getFloat64(3, true),
      topic: new TextDecoder().decode(bytes.subarray(FIXED_BYTES, topicEnd)),
      payload: bytes.slice(topicEnd),
    },
  };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
