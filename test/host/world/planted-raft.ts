/** Bugs as people make them in a Raft, one at a time in the core's source; a simulated cluster must find each: `npm run planted -- raft`. */
import type { PlantedBug } from "./planted-hunt.ts";

const FOLDER = "assembly/consensus/raft";

export const PLANTED_RAFT: readonly PlantedBug[] = [
  {
    name: "votes twice in a term",
    edits: [
      {
        file: `${FOLDER}/election.ts`,
        from: "    : vote == from || (vote == 0 && load<u32>(at, LEADER) == 0);",
        to: "    : true;",
      },
    ],
  },
  {
    name: "votes for a log that lacks entries",
    edits: [
      {
        file: `${FOLDER}/election.ts`,
        from: "  if (!isFree || !isUpToDate(at, message)) {",
        to: "  if (!isFree) {",
      },
    ],
  },
  {
    name: "commits an entry of an old term by counting",
    edits: [
      {
        file: `${FOLDER}/replication.ts`,
        from: "  if (index <= load<u64>(at, COMMIT) || logTerm(at, index) != load<u64>(at, TERM)) return;",
        to: "  if (index <= load<u64>(at, COMMIT)) return;",
      },
    ],
  },
  {
    name: "a leader counts its own entries before they are durable",
    edits: [
      {
        file: `${FOLDER}/replication.ts`,
        from: "  if (self != 0) store<u64>(self, load<u64>(at, SAVED), MEMBER_MATCH);",
        to: "  if (self != 0) store<u64>(self, load<u64>(at, LAST), MEMBER_MATCH);",
      },
    ],
  },
  {
    name: "a follower acknowledges before its sync",
    edits: [
      {
        file: `${FOLDER}/replication.ts`,
        from: "  const durable = min<u64>(matched, load<u64>(at, SAVED));",
        to: "  const durable = matched;",
      },
    ],
  },
  {
    name: "a vote leaves before it is durable",
    edits: [
      {
        file: `${FOLDER}/message.ts`,
        from: "  if (<i32>(load<u32>(gate) - load<u32>(at, STATE_SAVED)) > 0) return 0;\n",
        to: "",
      },
    ],
  },
  {
    name: "a conflicting suffix stays",
    edits: [
      {
        file: `${FOLDER}/replication.ts`,
        from: "      logTruncate(at, position);\n",
        to: "      continue;\n",
      },
    ],
  },
  {
    name: "a read is answered before a quorum has confirmed its round",
    edits: [
      {
        file: `${FOLDER}/reads.ts`,
        from: "    if (load<u64>(read, READ_OF_ROUND) > round) break;\n",
        to: "",
      },
    ],
  },
  {
    name: "a new leader answers reads before it has committed",
    edits: [
      {
        file: `${FOLDER}/reads.ts`,
        from: "  if (commit < load<u64>(at, TERM_START)) return -RAFT_NOT_READY;\n",
        to: "",
      },
    ],
  },
  {
    name: "a lease without bound for drift, and longer than an election",
    edits: [
      {
        file: `${FOLDER}/reads.ts`,
        from: "  return load<u64>(at, NOW) < heardByQuorum(at) + leaseUs;",
        to: "  return load<u64>(at, NOW) < heardByQuorum(at) + leaseUs * 4;",
      },
    ],
  },
  {
    name: "a snapshot forgets its configuration",
    edits: [
      {
        file: `${FOLDER}/snapshot.ts`,
        from: "  configSave(at, config);\n  configFromLog(at);\n  if (load<u64>(at, INCOMING_INDEX) == index) {",
        to: "  if (load<u64>(at, INCOMING_INDEX) == index) {",
      },
    ],
  },
  {
    name: "members change before the leader has committed anything in its term",
    edits: [
      {
        file: `${FOLDER}/membership.ts`,
        from: "  if (load<u64>(at, COMMIT) < load<u64>(at, TERM_START)) return -RAFT_NOT_READY;\n",
        to: "",
      },
    ],
  },
  {
    name: "a lease counts from the answer to a heartbeat, not from its sending",
    edits: [
      {
        file: `${FOLDER}/replication.ts`,
        from: "  if (time > load<u64>(member, MEMBER_HEARD)) store<u64>(member, time, MEMBER_HEARD);",
        to: "  if (time > load<u64>(member, MEMBER_HEARD)) store<u64>(member, load<u64>(at, NOW), MEMBER_HEARD);",
      },
    ],
  },
  {
    name: "members change while the change before is not committed",
    edits: [
      {
        file: `${FOLDER}/membership.ts`,
        from: "  if (load<u64>(at, CONFIG_INDEX) > load<u64>(at, COMMIT) || isJoint(at) || load<u32>(at, TRANSFER_TO) != 0) {",
        to: "  if (load<u32>(at, TRANSFER_TO) != 0) {",
      },
    ],
  },
  {
    name: "a node votes right after its start, whatever it promised before",
    edits: [
      {
        file: `${FOLDER}/node.ts`,
        from: "  store<u64>(at, nowUs + <u64>load<u32>(at, ELECTION_US), QUIET_UNTIL);\n",
        to: "",
      },
    ],
  },
];
