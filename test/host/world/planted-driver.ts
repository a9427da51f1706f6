/** Bugs as people make them around a Raft: in its driver, its log, and the machine that it feeds. A simulated cluster must find each: `npm run planted -- raft`. */
import type { PlantedBug } from "./planted-hunt.ts";

const DRIVER = "host/cluster/driver";
const KV = "host/cluster/kv";

export const PLANTED_DRIVER: readonly PlantedBug[] = [
  {
    name: "the log skips its sync",
    edits: [
      {
        file: "host/store/log-writer.ts",
        from: "    await this.#file.sync();\n",
        to: "",
      },
    ],
  },
  {
    name: "the driver takes for durable what it has given to the log",
    edits: [
      {
        file: `${DRIVER}/log-feeder.ts`,
        from: "    this.#handedSequence = sequence;\n  }\n}",
        to: "    this.#handedSequence = sequence;\n    this.#raft.saved(last.index, last.term, sequence);\n  }\n}",
      },
    ],
  },
  {
    name: "a vote is forgotten at a restart",
    edits: [
      {
        file: `${DRIVER}/start.ts`,
        from: "    ...{ term, vote, members, entries, applied: appliedIndex },",
        to: "    ...{ term, vote: vote & 0, members, entries, applied: appliedIndex },",
      },
    ],
  },
  {
    name: "a retried command is applied twice",
    edits: [
      {
        file: `${KV}/sessions.ts`,
        from: "    if (session.has(sequence)) return REPEATED;\n",
        to: "",
      },
    ],
  },
  {
    name: "the applied index is not written with the data, and entries are applied again after a crash",
    edits: [
      {
        file: `${KV}/machine.ts`,
        from: "          if (last > before) state.flush(transaction);\n          alongside?.(transaction);\n        });",
        to: "        });\n        await this.#store.transaction((transaction) => {\n          if (last > before) state.flush(transaction);\n          alongside?.(transaction);\n        });",
      },
    ],
  },
  {
    name: "the log is compacted before the state is durable",
    edits: [
      {
        file: `${DRIVER}/raft-driver.ts`,
        from: '    await this.#retried("flush", () => this.#machine.flush());\n    if (this.#stopped) return;\n    const held',
        to: "    const held",
      },
    ],
  },
  {
    name: "segments are removed before the mark that lets them go is durable",
    edits: [
      {
        file: "host/cluster/raft-log/raft-log.ts",
        from: "    this.#log.durable(mark).then(",
        to: "    void mark;\n    Promise.resolve().then(",
      },
    ],
  },
  {
    name: "a snapshot that was taken over leaves no mark in the state",
    edits: [
      { file: `${DRIVER}/kv-replica.ts`, from: "        transaction.put(MARK, encodeMark(mark));\n", to: "" },
    ],
  },
  {
    name: "a snapshot forgets the sessions",
    edits: [
      {
        file: `${KV}/snapshot.ts`,
        from: "    transaction.put(key, value);\n  }\n  if",
        to: "    if (section !== SESSIONS) transaction.put(key, value);\n  }\n  if",
      },
    ],
  },
  {
    name: "a lease counts from the tick before its grant",
    edits: [
      {
        file: `${KV}/leases.ts`,
        from: "      lease.expiryMs = timeMs + lease.ttlMs;",
        to: "      lease.expiryMs = timeMs - 500 + lease.ttlMs;",
      },
    ],
  },
  {
    name: "the log's time is the leader's wall clock",
    edits: [
      {
        file: "host/cluster/kv-node.ts",
        from: "    const timeMs = Math.floor(base.logMs + this.#clock.monotonicMs() - base.clockMs);",
        to: "    const timeMs = Math.max(base.logMs, this.#clock.wallMs());",
      },
    ],
  },
  {
    name: "a read does not wait until its entry is applied",
    edits: [
      {
        file: `${DRIVER}/reads.ts`,
        from: "    this.#indexed.push({ index, waiters: out.waiters });",
        to: "    this.#indexed.push({ index: index * 0, waiters: out.waiters });",
      },
    ],
  },
  {
    name: "a late answer to an earlier read confirms a later one (etcd #20418)",
    edits: [
      {
        file: `${DRIVER}/reads.ts`,
        from: "    if (out === undefined || out.context !== context) return;",
        to: "    if (out === undefined || context === 0) return;",
      },
    ],
  },
  {
    name: "a leader that lost its office acknowledges what another wrote in its entry's place",
    edits: [
      {
        file: `${DRIVER}/raft-driver.ts`,
        from: '      this.#proposals.failAll("RAFT_OUTCOME_UNKNOWN");\n',
        to: "",
      },
      {
        file: `${DRIVER}/proposals.ts`,
        from: "      if (pending.term === term) pending",
        to: "      if (pending.term > 0) pending",
      },
    ],
  },
];
