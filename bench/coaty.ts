/**
 * `@coaty/consensus.raft`, etcd's Raft in JavaScript, as raft-memory.ts runs the core's: three nodes in one process, its own storage in memory,
 * commands of 64 bytes proposed so many in one message. Messages go as its own transport sends them, as JSON, or by reference, which no two
 * machines can. It is installed when it is measured, without running install scripts: its database, which is built for some minutes and is
 * not used here, is an empty module.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";

export const COATY_VERSION = "1.0.0";
const NAME = "@coaty/consensus.raft";
const COMMAND = "7".repeat(64);
const BATCH = 256;
const IDS = ["1", "2", "3"];
const ROUNDS_MAX = 10_000;
/** The log is compacted when it holds so many entries, as often as the core's is. */
const ENTRIES_MAX = 4096;

interface Message {
  readonly to: string;
}
interface Entry {
  readonly index: number;
  readonly data: unknown;
}
interface Ready {
  readonly hardState: { isEmptyHardState(): boolean };
  readonly entries: Entry[];
  readonly committedEntries: Entry[];
  readonly messages: Message[];
}
interface RawNode {
  readonly raft: { readonly lead: string };
  step(message: unknown): Error | null;
  campaign(): Error | null;
  hasReady(): boolean;
  ready(): Ready;
  advance(ready: Ready): void;
}
interface Storage {
  ents: unknown[];
  SetHardState(state: unknown): void;
  Append(entries: Entry[]): Error | null;
  Compact(index: number): Error | null;
}
interface Coaty {
  readonly newNode: (id: string) => { readonly node: RawNode; readonly storage: Storage };
  readonly proposal: (from: string, commands: readonly string[]) => unknown;
  readonly received: (text: string) => unknown;
}

/** A folder in which it is installed; done once for a checkout. */
export function installCoaty(folder: string): string {
  const home = join(folder, "coaty");
  const modules = join(home, "node_modules");
  if (!existsSync(join(modules, NAME))) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "package.json"), "{}\n");
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", `${NAME}@${COATY_VERSION}`];
    execFileSync("npm", args, { cwd: home, stdio: ["ignore", "ignore", "inherit"] });
    writeFileSync(
      join(modules, "sqlite3/package.json"),
      '{ "name": "sqlite3", "version": "0.0.0", "main": "empty.js" }\n',
    );
    writeFileSync(join(modules, "sqlite3/empty.js"), "module.exports = { verbose: () => ({}) };\n");
  }
  return home;
}

function load(home: string): Coaty {
  const require = createRequire(join(home, "package.json"));
  const part = (name: string) => require(`${NAME}/ported/${name}`);
  const { RawNode } = part("rawnode.js");
  const { RaftConfig } = part("raft.js");
  const { MemoryStorage } = part("storage.js");
  const { ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata } = part("raftpb/raft.pb.js");
  return {
    newNode: (id) => {
      const storage = MemoryStorage.NewMemoryStorage();
      const confState = new ConfState({ voters: IDS });
      storage.ApplySnapshot(
        new Snapshot({ metadata: new SnapshotMetadata({ confState, index: 1, term: 1 }) }),
      );
      const config = new RaftConfig({
        ...{ id, storage, electionTick: 10, heartbeatTick: 1, applied: 1 },
        ...{ maxSizePerMsg: 1 << 20, maxInflightMsgs: 256 },
      });
      return { node: RawNode.NewRawNode(config), storage };
    },
    received: (text) => new Message(JSON.parse(text)),
    proposal: (from, commands) =>
      new Message({ type: MessageType.MsgProp, from, entries: commands.map((data) => new Entry({ data })) }),
  };
}

/** Commands a second that all three nodes have applied, by the way that messages go. */
export interface CoatyResult {
  readonly json: number;
  readonly reference: number;
}

export function coatyRound(home: string, commands: number): CoatyResult {
  return { json: rate(home, commands, "json"), reference: rate(home, commands, "reference") };
}

function rate(home: string, commands: number, wire: "json" | "reference"): number {
  const coaty = load(home);
  const nodes = new Map(IDS.map((id) => [id, { ...coaty.newNode(id), applied: 0 }]));
  const round = (): boolean => {
    let moved = false;
    for (const own of nodes.values()) {
      const { node, storage } = own;
      while (node.hasReady()) {
        moved = true;
        const ready = node.ready();
        if (!ready.hardState.isEmptyHardState()) storage.SetHardState(ready.hardState);
        if (ready.entries.length > 0) storage.Append(ready.entries);
        for (const message of ready.messages)
          nodes
            .get(message.to)
            ?.node.step(wire === "json" ? coaty.received(JSON.stringify(message)) : message);
        for (const { data } of ready.committedEntries) if (data === COMMAND) own.applied += 1;
        const last = ready.committedEntries.at(-1);
        node.advance(ready);
        if (last !== undefined && storage.ents.length > ENTRIES_MAX) storage.Compact(last.index);
      }
    }
    return moved;
  };
  const settle = (): void => {
    for (let count = 0; round(); count += 1)
      if (count > ROUNDS_MAX) throw new Error(`the nodes of ${NAME} do not settle`);
  };
  const leader = nodes.get("1")?.node as RawNode;
  leader.campaign();
  settle();
  if (leader.raft.lead !== "1") throw new Error(`the nodes of ${NAME} elected nobody`);
  const clock = systemClock();
  const batch = Array.from({ length: BATCH }, () => COMMAND);
  const total = Math.max(1, Math.floor(commands / BATCH)) * BATCH;
  const startedMs = clock.monotonicMs();
  for (let done = 0; done < total; done += BATCH) {
    const refused = leader.step(coaty.proposal("1", batch));
    if (refused !== null) throw refused;
    settle();
  }
  const elapsedMs = clock.monotonicMs() - startedMs;
  const least = Math.min(...[...nodes.values()].map(({ applied }) => applied));
  if (least < total) throw new Error(`a node of ${NAME} applied ${least} of ${total} commands`);
  return (total / elapsedMs) * 1000;
}
