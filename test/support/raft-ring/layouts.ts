/** What stands in a board's flash and memory, read from outside by the drawings: firmware/raft/journal.ts, assembly/consensus/raft/layout.ts and log.ts. */
import { crc32 } from "../../../protocols/crc.ts";

export interface Durable {
  readonly generation: number;
  readonly term: number;
  readonly vote: number;
  readonly boots: number;
  /** Index of the snapshot, and the machine's state in it. */
  readonly snapshot: number;
  readonly machine: string;
  /** By index. */
  readonly entries: ReadonlyMap<number, string>;
  readonly last: number;
}

const SECTOR = 4096;
const CELL = 16;
const MAGIC = 0x4652_4454;
const RECORD_MAX = 256;
const [STATE, SNAPSHOT, ENTRY] = [1, 2, 3];

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const u64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true));
const kinds = ["no-op", "command", "configuration"];
/** Term, kind and payload. */
const describe = (term: number, kind: number, payload: Uint8Array) =>
  `${kinds[kind]} of term ${term} ${hex(payload)}`.trim();

/** A journal whose header counts; undefined when there is none. */
export function readJournal(area: Uint8Array): Durable | undefined {
  const view = new DataView(area.buffer, area.byteOffset, area.length);
  let counts: { at: number; generation: number } | undefined;
  for (let at = 0; at < area.length; at += SECTOR) {
    const generation = view.getUint32(at + 4, true);
    const isHeader =
      view.getUint32(at, true) === MAGIC &&
      crc32(area.subarray(at, at + 12)) === view.getUint32(at + 12, true);
    if (isHeader && generation > (counts?.generation ?? 0)) counts = { at, generation };
  }
  return counts === undefined ? undefined : readSector(area, view, counts);
}

function readSector(
  area: Uint8Array,
  view: DataView,
  { at: sector, generation }: { readonly at: number; readonly generation: number },
): Durable {
  let [term, vote, boots, snapshot, last] = [0, 0, 0, 0, 0];
  let machine = "";
  const entries = new Map<number, string>();
  for (let at = sector + CELL; at < sector + SECTOR; ) {
    const [kind, bytes] = [area[at + 4] as number, view.getUint16(at + 6, true)];
    const isWhole =
      bytes >= CELL &&
      bytes <= RECORD_MAX &&
      at + bytes <= sector + SECTOR &&
      crc32(area.subarray(at + 4, at + bytes)) === view.getUint32(at, true);
    if (!isWhole) break;
    const body = at + 8;
    if (kind === STATE) {
      [term, vote, boots] = [
        u64(view, body),
        view.getUint32(body + 8, true),
        view.getUint32(body + 12, true),
      ];
    } else if (kind === SNAPSHOT) {
      snapshot = u64(view, body);
      const from = body + 24 + 8 * view.getUint32(body + 16, true);
      machine = hex(area.subarray(from, from + 88));
      last = Math.max(last, snapshot);
    } else if (kind === ENTRY) {
      const index = u64(view, body);
      const length = view.getUint32(body + 16, true);
      for (let above = index; above <= last; above += 1) entries.delete(above);
      entries.set(
        index,
        describe(
          u64(view, body + 8),
          area[body + 20] as number,
          area.subarray(body + 24, body + 24 + length),
        ),
      );
      last = index;
    }
    at += bytes;
  }
  return { generation, term, vote, boots, snapshot, machine, entries, last };
}

export interface NodeState {
  readonly role: number;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly first: number;
  readonly last: number;
  readonly leader: number;
  readonly malformed: number;
  readonly violations: number;
}
export const LEADING = 3;

/** The node at `at` of a module's memory, which begins where the view does. */
export function readNode(view: DataView, at: number): NodeState {
  return {
    role: view.getUint8(at + 284),
    term: u64(view, at),
    commit: u64(view, at + 8),
    applied: u64(view, at + 16),
    first: u64(view, at + 24),
    last: u64(view, at + 32),
    leader: view.getUint32(at + 200, true),
    malformed: view.getUint32(at + 288, true),
    violations: view.getUint32(at + 292, true),
  };
}

/** An entry that a node holds. */
export function readEntry(view: DataView, at: number, index: number): string {
  const { first } = readNode(view, at);
  const slot = (of: number) => view.getUint32(at + 300, true) + (of & view.getUint32(at + 232, true)) * 16;
  const begin = index === first ? view.getUint32(at + 240, true) : view.getUint32(slot(index - 1) + 8, true);
  const end = view.getUint32(slot(index) + 8, true);
  const [mask, payloads] = [view.getUint32(at + 236, true), view.getUint32(at + 304, true)];
  const payload = Uint8Array.from({ length: (end - begin) >>> 0 }, (_, byte) =>
    view.getUint8(payloads + ((begin + byte) & mask)),
  );
  return describe(u64(view, slot(index)), view.getUint8(slot(index) + 12), payload);
}

export function readMachine(view: DataView, at: number): string {
  return hex(new Uint8Array(view.buffer, view.byteOffset + at, 88));
}

/** The machine as its module comment says it: registers, and the last sequence of each peer. */
export class MachineModel {
  readonly registers = new Array<number>(16).fill(0);
  readonly sequences = [0n, 0n, 0n];

  apply(entry: string): void {
    const payload = /^command of term \d+ ([0-9a-f]{32})$/.exec(entry)?.[1];
    if (payload === undefined) return;
    const view = new DataView(Uint8Array.from(Buffer.from(payload, "hex")).buffer);
    const [sequence, value] = [view.getBigUint64(0, true), view.getUint32(8, true)];
    const [peer, operation, register] = [view.getUint8(12), view.getUint8(13), view.getUint8(14)];
    if (sequence <= (this.sequences[peer - 1] as bigint)) return;
    this.sequences[peer - 1] = sequence;
    const old = this.registers[register] as number;
    this.registers[register] = operation === 1 ? (old + value) >>> 0 : value;
  }

  hex(): string {
    const bytes = new Uint8Array(88);
    const view = new DataView(bytes.buffer);
    this.registers.forEach((value, register) => {
      view.setUint32(register * 4, value, true);
    });
    this.sequences.forEach((value, peer) => {
      view.setBigUint64(64 + peer * 8, value, true);
    });
    return hex(bytes);
  }
}
