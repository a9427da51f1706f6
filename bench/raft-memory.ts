/**
 * What Raft itself costs: three nodes of the core in one process, messages handed over as they are, everything durable at once, commands of
 * 64 bytes proposed so many at a time. A commit counts when all three nodes have applied it.
 */
import { crc32 } from "node:zlib";
import { openCore } from "../host/core/core.ts";
import { readCoreBytes } from "../host/core/core-bytes.ts";
import { Raft } from "../host/core/raft.ts";
import { systemClock } from "../host/io/clock.ts";

const COMMAND_BYTES = 64;
const BATCH = 256;
const NODES = [1, 2, 3] as const;
/** The log is compacted when it is this full. */
const FILL_MAX = 0.5;
const TICK_MS = 10;
const ROUNDS_MAX = 10_000;

export interface MemoryResult {
  readonly perSecond: number;
  /** Of the commands that each node applied, in their order. */
  readonly checksums: readonly number[];
}

/** Whole batches: as many commands as fit in `commands`, at least one batch. */
export function memoryRound(commands: number): MemoryResult {
  const core = openCore(readCoreBytes());
  const nodes = new Map(NODES.map((id) => [id as number, new Raft(core, { id })]));
  const members = NODES.map((id) => ({ id, role: "voter" }) as const);
  const applied = new Map(NODES.map((id) => [id as number, { count: 0, checksum: 0 }]));
  let nowMs = 0;
  for (const [id, raft] of nodes) {
    raft.restore({ term: 0, vote: 0, snapshot: { index: 0, term: 0 }, members });
    raft.begin(nowMs, id * 0x1234_5678);
  }
  /** True while anything moves. */
  const round = (): boolean => {
    let moved = false;
    for (const [id, raft] of nodes) {
      raft.flush();
      for (let unsaved = raft.takeUnsaved(); unsaved !== undefined; unsaved = raft.takeUnsaved())
        raft.saved(unsaved.last, raft.termAt(unsaved.last), raft.stateSequence);
      raft.saved(0, 0, raft.stateSequence);
      // The copies stand for the network's.
      const messages: (readonly [number, Uint8Array])[] = [];
      raft.takeMessages((to, message) => messages.push([to, message.slice()]));
      for (const [to, message] of messages) nodes.get(to)?.step(message, nowMs);
      moved ||= messages.length > 0;
      moved = apply(raft, applied.get(id) as Applied) || moved;
    }
    return moved;
  };
  const settle = (): void => {
    for (let count = 0; round(); count += 1)
      if (count > ROUNDS_MAX) throw new Error("the nodes do not settle");
  };
  const leader = (): Raft | undefined => [...nodes.values()].find(({ role }) => role === "leader");
  while (leader() === undefined) {
    nowMs += TICK_MS;
    for (const [id, raft] of nodes) raft.tick(nowMs, (id * 0x9e37_79b9 + nowMs) >>> 0);
    settle();
  }
  const clock = systemClock();
  const command = new Uint8Array(COMMAND_BYTES);
  const total = Math.max(1, Math.floor(commands / BATCH)) * BATCH;
  const startedMs = clock.monotonicMs();
  for (let done = 0; done < total; done += BATCH) {
    const raft = leader() as Raft;
    for (let at = done; at < done + BATCH; at += 1) {
      command.fill(at);
      raft.propose(command);
    }
    settle();
  }
  const elapsedMs = clock.monotonicMs() - startedMs;
  for (const raft of nodes.values()) raft[Symbol.dispose]();
  const all = [...applied.values()];
  const least = Math.min(...all.map(({ count }) => count));
  if (least < total) throw new Error(`a node applied ${least} of ${total} commands`);
  return { perSecond: (total / elapsedMs) * 1000, checksums: all.map(({ checksum }) => checksum) };
}

interface Applied {
  count: number;
  checksum: number;
}

function apply(raft: Raft, applied: Applied): boolean {
  let moved = false;
  for (let from = raft.applied + 1; raft.applicable >= from; from = raft.applied + 1) {
    const { run, count } = raft.entries(from, raft.applicable);
    applied.checksum = crc32(run, applied.checksum);
    applied.count += count;
    raft.setApplied(from + count - 1);
    moved = true;
  }
  if (raft.fill > FILL_MAX) raft.compact(raft.applied);
  return moved;
}
