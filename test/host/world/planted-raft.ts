/** Bugs as people make them in a Raft, one at a time in the core's source; a simulated cluster must find each: `npm run planted -- raft`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openCore } from "../../../host/core/core.ts";
import { type ClusterWorldReport, runWorld } from "../../../host/world/world.ts";
import { compileAssembly, HOST_FLAGS } from "../../../scripts/build-wasm.ts";

const ROOT = join(import.meta.dirname, "../../..");
const FOLDER = "assembly/consensus/raft";

export interface PlantedRaftBug {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const PLANTED_RAFT: readonly PlantedRaftBug[] = [
  {
    name: "votes twice in a term",
    file: "election.ts",
    from: "    : vote == from || (vote == 0 && load<u32>(at, LEADER) == 0);",
    to: "    : true;",
  },
  {
    name: "votes for a log that lacks entries",
    file: "election.ts",
    from: "  if (!isFree || !isUpToDate(at, message)) {",
    to: "  if (!isFree) {",
  },
  {
    name: "commits an entry of an old term by counting",
    file: "replication.ts",
    from: "  if (index <= load<u64>(at, COMMIT) || logTerm(at, index) != load<u64>(at, TERM)) return;",
    to: "  if (index <= load<u64>(at, COMMIT)) return;",
  },
  {
    name: "a leader counts its own entries before they are durable",
    file: "replication.ts",
    from: "  if (self != 0) store<u64>(self, load<u64>(at, SAVED), MEMBER_MATCH);",
    to: "  if (self != 0) store<u64>(self, load<u64>(at, LAST), MEMBER_MATCH);",
  },
  {
    name: "a follower acknowledges before its sync",
    file: "replication.ts",
    from: "  const durable = min<u64>(matched, load<u64>(at, SAVED));",
    to: "  const durable = matched;",
  },
  {
    name: "a vote leaves before it is durable",
    file: "message.ts",
    from: "  if (<i32>(load<u32>(gate) - load<u32>(at, STATE_SAVED)) > 0) return 0;\n",
    to: "",
  },
  {
    name: "a conflicting suffix stays",
    file: "replication.ts",
    from: "      logTruncate(at, position);\n",
    to: "      continue;\n",
  },
  {
    name: "a read is answered before a quorum has confirmed its round",
    file: "reads.ts",
    from: "    if (load<u64>(read, READ_OF_ROUND) > round) break;\n",
    to: "",
  },
  {
    name: "a new leader answers reads before it has committed",
    file: "reads.ts",
    from: "  if (commit < load<u64>(at, TERM_START)) return -RAFT_NOT_READY;\n",
    to: "",
  },
  {
    name: "a lease without bound for drift, and longer than an election",
    file: "reads.ts",
    from: "  return load<u64>(at, NOW) < heardByQuorum(at) + leaseUs;",
    to: "  return load<u64>(at, NOW) < heardByQuorum(at) + leaseUs * 4;",
  },
  {
    name: "a snapshot forgets its configuration",
    file: "snapshot.ts",
    from: "  configSave(at, config);\n  configFromLog(at);\n  if (load<u64>(at, INCOMING_INDEX) == index) {",
    to: "  if (load<u64>(at, INCOMING_INDEX) == index) {",
  },
  {
    name: "members change while the change before is not committed",
    file: "membership.ts",
    from: "  if (load<u64>(at, CONFIG_INDEX) > load<u64>(at, COMMIT) || isJoint(at) || load<u32>(at, TRANSFER_TO) != 0) {",
    to: "  if (load<u32>(at, TRANSFER_TO) != 0) {",
  },
  {
    name: "a node votes right after its start, whatever it promised before",
    file: "node.ts",
    from: "  store<u64>(at, nowUs + <u64>load<u32>(at, ELECTION_US), QUIET_UNTIL);\n",
    to: "",
  },
];

export interface Caught {
  /** Absent when no seed found it. */
  readonly report: ClusterWorldReport | undefined;
  readonly seeds: number;
  readonly seconds: number;
}

/** Runs seeds from 1 on until one is violated. */
export async function huntRaft(bug: PlantedRaftBug, seedsMax: number, forMs = 30_000): Promise<Caught> {
  const path = `${FOLDER}/${bug.file}`;
  const source = readFileSync(join(ROOT, path), "utf8");
  if (source.split(bug.from).length !== 2)
    throw new Error(`${bug.name}: its place in ${path} is not there once`);
  const wasm = await compileAssembly(
    ["assembly/index.ts"],
    HOST_FLAGS,
    new Map([[path, source.replace(bug.from, bug.to)]]),
  );
  const core = openCore(wasm);
  const beganMs = performance.now();
  const elapsed = (): number => (performance.now() - beganMs) / 1000;
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    const report = await runWorld(core, { seed, forMs });
    if (report.violation !== undefined) return { report, seeds: seed, seconds: elapsed() };
  }
  return { report: undefined, seeds: seedsMax, seconds: elapsed() };
}
