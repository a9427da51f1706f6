/** Random programs against the slow model: retries, duplicates, crashes, failing transactions, watchers, snapshots, replicas. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeCommand,
  type KvCommand,
  type KvCondition,
  type KvSession,
} from "../../../../host/cluster/kv/command.ts";
import type { KvEvent } from "../../../../host/cluster/kv/events.ts";
import { kvLimits } from "../../../../host/cluster/kv/limits.ts";
import { type KvEntry, KvMachine } from "../../../../host/cluster/kv/machine.ts";
import { decodeResult, type KvResult } from "../../../../host/cluster/kv/result.ts";
import type { Watcher } from "../../../../host/cluster/kv/watch.ts";
import { memoryState } from "../../../../host/store/memory-state.ts";
import { KvModel } from "./kv-model.ts";
import { FaultyStore, snapshotOf } from "./kv-rig.ts";

const LIMITS = kvLimits({
  sessions: 3,
  sessionWindow: 4,
  leases: 3,
  leaseKeys: 2,
  deletes: 2,
  keys: 5,
  bytes: 230,
});
const KEYS = ["a", "a/1", "a/2", "b", "é", "\u{1F980}", "\uFF5E"];

/** Numbers pick among what there is when the step is run. */
type Step =
  | { readonly do: "command"; readonly command: KvCommand; readonly as: number; readonly retry: boolean }
  | { readonly do: "acknowledge"; readonly as: number }
  | { readonly do: "commit" | "crash" | "replay" | "snapshot" }
  | { readonly do: "fail"; readonly write: number }
  | { readonly do: "watch"; readonly back: number };

const key = fc.constantFrom(...KEYS);
const bound = fc.constantFrom("", ...KEYS);
const value = fc.uint8Array({ maxLength: 12 });
const pick = fc.nat(5);
const when: fc.Arbitrary<KvCondition> = fc.oneof(
  pick.map((revision) => ({ revision })),
  value.map((expected) => ({ value: expected })),
);
const put = fc.record(
  { op: fc.constant("put" as const), key, value, lease: pick, when },
  { requiredKeys: ["op", "key", "value", "lease"] },
);
const remove = fc.record({ op: fc.constant("delete" as const), key, when }, { requiredKeys: ["op", "key"] });
const command: fc.Arbitrary<KvCommand> = fc.oneof(
  { weight: 8, arbitrary: put },
  { weight: 2, arbitrary: remove },
  fc.record({
    op: fc.constant("delete-range" as const),
    from: bound,
    to: bound,
    limit: fc.integer({ min: 1, max: 3 }),
  }),
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant("lease-grant" as const), ttlMs: fc.constantFrom(1, 5, 6) }),
  },
  fc.record({ op: fc.constant("lease-keep-alive" as const), lease: pick }),
  fc.record({ op: fc.constant("lease-revoke" as const), lease: pick }),
  { weight: 3, arbitrary: fc.record({ op: fc.constant("tick" as const), timeMs: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("session-open" as const) }) },
  fc.record({ op: fc.constant("session-close" as const) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      do: fc.constant("command" as const),
      command,
      as: pick,
      retry: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), as: pick }) },
  { weight: 5, arbitrary: fc.constant({ do: "commit" as const }) },
  fc.constantFrom<Step>({ do: "crash" }, { do: "replay" }, { do: "snapshot" }),
  fc.record({ do: fc.constant("fail" as const), write: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant("watch" as const), back: fc.nat(12) }),
);

/** What the programs of a run came to: they would prove little if they never filled a session. */
const REACHED = new Set<string>();

interface Client {
  readonly id: number;
  sequence: number;
  below: number;
  readonly sent: { readonly command: KvCommand; readonly session: KvSession }[];
}

class Program {
  readonly model = new KvModel(LIMITS);
  store = new FaultyStore();
  machine = this.#open();
  readonly log: KvEntry[] = [];
  #pending: KvEntry[] = [];
  #expected: KvResult[] = [];
  readonly #clients: Client[] = [];
  #watchers: { readonly watcher: Watcher; readonly from: number; readonly seen: KvEvent[] }[] = [];
  /** A snapshot, and where the log was. */
  readonly snapshots: { readonly bytes: Uint8Array; readonly index: number }[] = [];

  #open(): KvMachine {
    return KvMachine.open({
      store: this.store,
      limits: LIMITS,
      watch: { historyEvents: 6, historyBytes: 400 },
    });
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case "command":
        return this.#command(step);
      case "acknowledge": {
        const client = this.#clients[this.#clients.length - 1 - step.as];
        if (client !== undefined) client.below = client.sequence;
        return;
      }
      case "commit":
        return this.commit();
      case "fail":
        return this.#fail(step.write);
      case "crash":
        this.machine = this.#open();
        this.#watchers = [];
        return;
      case "replay": {
        // Everything again, as a driver would that lost track of where it was.
        const results = await this.machine.apply(this.log.slice(0, this.machine.appliedIndex));
        for (let at = 0; at < results.length; at += 1) expect(results.at(at).code).toBe("SKIPPED");
        return this.#compare();
      }
      case "snapshot":
        if (this.machine.appliedIndex > 0)
          this.snapshots.push({ bytes: snapshotOf(this.machine), index: this.machine.appliedIndex });
        return;
      case "watch":
        return this.#watch(step.back);
    }
  }

  #command({ command: asked, as, retry }: Extract<Step, { do: "command" }>): void {
    // The latest: the earlier ones were evicted, mostly.
    const client = this.#clients[this.#clients.length - 1 - as];
    const command = this.#resolve(asked);
    if (command.op === "session-close") {
      if (client === undefined) return;
      this.#propose(command, { id: client.id, sequence: 1, acknowledgedBelow: 1 });
    } else if (client === undefined || command.op === "tick" || command.op === "session-open") {
      const result = this.#propose(command);
      if (command.op === "session-open")
        this.#clients.push({ id: result.value, sequence: 0, below: 1, sent: [] });
    } else if (retry && client.sent.length > 0) {
      const again = client.sent[Math.max(0, client.sent.length - 1 - as)] as (typeof client.sent)[number];
      this.#propose(again.command, again.session);
    } else {
      client.sequence += 1;
      const session = { id: client.id, sequence: client.sequence, acknowledgedBelow: client.below };
      client.sent.push({ command, session });
      this.#propose(command, session);
    }
  }

  /** Picks leases, revisions and times near those that there are. */
  #resolve(asked: KvCommand): KvCommand {
    const leases = [0, ...this.model.leases.keys(), this.model.revision + 1];
    switch (asked.op) {
      case "put": {
        const lease = leases[(asked.lease ?? 0) % leases.length] as number;
        return { ...asked, lease, ...this.#condition(asked) };
      }
      case "delete":
        return { ...asked, ...this.#condition(asked) };
      case "lease-keep-alive":
      case "lease-revoke":
        return { ...asked, lease: Math.max(1, leases[asked.lease % leases.length] as number) };
      case "tick":
        return { ...asked, timeMs: Math.max(0, this.model.timeMs + asked.timeMs - 2) };
      default:
        return asked;
    }
  }
  #condition(asked: Extract<KvCommand, { op: "put" | "delete" }>): { readonly when?: KvCondition } {
    const { when } = asked;
    const item = this.model.items.get(asked.key);
    if (when === undefined) return {};
    if ("value" in when) return { when: when.value.length % 2 === 0 && item ? { value: item.value } : when };
    return { when: { revision: when.revision < 3 ? (item?.modRevision ?? 0) : when.revision - 3 } };
  }

  #propose(command: KvCommand, session?: KvSession): KvResult {
    const entry = { index: this.log.length + 1, term: 1, payload: encodeCommand(command, session) };
    this.log.push(entry);
    this.#pending.push(entry);
    const expected = this.model.apply(entry.index, command, session);
    this.#expected.push(expected);
    return expected;
  }

  async commit(): Promise<void> {
    const results = await this.machine.apply(this.#pending);
    expect(Array.from({ length: results.length }, (_, at) => results.at(at))).toEqual(this.#expected);
    for (const { op, code, more } of this.#expected) REACHED.add(more ? `${op} more` : `${op} ${code}`);
    this.#pending = [];
    this.#expected = [];
    this.#compare();
    this.#follow();
  }

  async #fail(write: number): Promise<void> {
    this.store.failAtWrite = write;
    const before = this.machine.meta;
    const outcome = await this.machine.apply(this.#pending).catch(() => undefined);
    this.store.failAtWrite = undefined;
    if (outcome === undefined) expect(this.machine.meta).toEqual(before);
    else {
      this.#pending = [];
      this.#expected = [];
    }
    this.#follow();
  }

  #watch(back: number): void {
    const from = Math.max(1, this.machine.revision + 2 - back);
    if (from < this.machine.oldestRevision)
      expect(() => this.machine.watch({ prefix: "", fromRevision: from })).toThrow(/no longer kept/);
    else
      this.#watchers.push({
        watcher: this.machine.watch({ prefix: "", fromRevision: from }),
        from,
        seen: [],
      });
    this.#follow();
  }

  /** Each watcher has seen each event that was committed, once and in order. */
  #follow(): void {
    for (const { watcher, from, seen } of this.#watchers) {
      seen.push(...watcher.take(2), ...watcher.take());
      const until = this.machine.revision;
      const due = this.model.events.filter((event) => event.revision >= from && event.revision <= until);
      expect(seen).toEqual(due);
    }
  }

  #compare(): void {
    if (this.#pending.length > 0) return;
    const { machine, model } = this;
    expect(machine.range({ from: "" })).toEqual({
      items: model.sorted(),
      more: false,
      revision: model.revision,
    });
    expect(machine.meta).toMatchObject({
      appliedIndex: this.log.length,
      revision: model.revision,
      timeMs: model.timeMs,
      keys: model.items.size,
      bytes: model.bytes(),
      leases: model.leases.size,
      sessions: model.sessions.size,
      leasedKeys: [...model.leases.keys()].flatMap((lease) => model.keysOf(lease)).length,
    });
  }
}

/** Another replica: from the beginning or from a snapshot, in batches of its own. */
async function replica(log: readonly KvEntry[], batch: number, snapshot?: Uint8Array): Promise<KvMachine> {
  const store = memoryState();
  const machine = KvMachine.open({ store, limits: LIMITS });
  if (snapshot !== undefined) await machine.restore([snapshot]);
  for (let at = machine.appliedIndex; at < log.length; at += batch)
    await machine.apply(log.slice(at, at + batch));
  return machine;
}

test("does what the model does, whatever fails in between; replicas are byte-identical", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 60, maxLength: 300, size: "max" }),
      fc.integer({ min: 1, max: 9 }),
      async (steps, batch) => {
        const program = new Program();
        for (const one of steps) await program.run(one);
        await program.commit();
        expect(new Set(program.model.effects).size).toBe(program.model.effects.length);
        if (program.log.length === 0) return;
        const bytes = snapshotOf(program.machine);
        expect(snapshotOf(await replica(program.log, batch))).toEqual(bytes);
        for (const { bytes: early } of program.snapshots)
          expect(snapshotOf(await replica(program.log, batch, early))).toEqual(bytes);
      },
    ),
    { numRuns: 500 },
  );
  expect([...REACHED]).toEqual(
    expect.arrayContaining([
      ...["OK", "CONDITION", "LEASE_NOT_FOUND", "LEASE_KEYS_FULL", "STORE_FULL"].map((code) => `put ${code}`),
      ...["SESSION_EXPIRED", "SESSION_STALE", "SESSION_WINDOW"].map((code) => `put ${code}`),
      ...["delete OK", "delete CONDITION", "delete-range OK", "delete-range more"],
      ...["lease-grant OK", "lease-grant LEASES_FULL", "lease-revoke OK", "lease-revoke LEASE_NOT_FOUND"],
      ...["lease-keep-alive OK", "lease-keep-alive LEASE_NOT_FOUND", "tick OK", "tick more"],
      ...["session-open OK", "session-close OK", "session-close SESSION_EXPIRED"],
    ]),
  );
});

test("damaged commands get a code, the same on every replica", async () => {
  const damage = fc.record({ at: fc.nat(80), xor: fc.integer({ min: 1, max: 255 }), cut: fc.nat(80) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(command, fc.option(damage, { nil: undefined }), pick), { maxLength: 40 }),
      async (rows) => {
        const log = rows.map(([whole, hurt, session], at) => {
          const id = { id: session + 1, sequence: at + 1, acknowledgedBelow: at };
          const bare = session === 0 || whole.op === "session-open" || whole.op === "tick";
          const fixed =
            "lease" in whole && whole.lease === 0 && whole.op !== "put" ? { ...whole, lease: 1 } : whole;
          const bytes = encodeCommand(fixed, bare && whole.op !== "session-close" ? undefined : id);
          if (hurt !== undefined && hurt.at < bytes.length)
            bytes[hurt.at] = (bytes[hurt.at] as number) ^ hurt.xor;
          const payload =
            hurt === undefined ? bytes : bytes.slice(0, Math.max(1, bytes.length - (hurt.cut % 9)));
          return { index: at + 1, term: 1, payload };
        });
        const one = await replica(log, 1);
        const other = await replica(log, 7);
        if (log.length > 0) expect(snapshotOf(one)).toEqual(snapshotOf(other));
        const machine = KvMachine.open({ store: memoryState(), limits: LIMITS });
        const results = await machine.apply(log);
        for (let at = 0; at < results.length; at += 1)
          expect(decodeResult(results.encoded(at))).toEqual(results.at(at));
      },
    ),
    { numRuns: 400 },
  );
});
