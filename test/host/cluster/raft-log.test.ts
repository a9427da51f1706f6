import { expect, test } from "vitest";
import type { RaftLog } from "../../../host/cluster/raft-log/raft-log.ts";
import { encodeSnapshotRecord, setSaveHeader } from "../../../host/cluster/raft-log/record.ts";
import { openSegmentLog } from "../../../host/store/segment-log.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { type RaftLogWorld, raftLogWorld, run, textOf } from "./raft-log-world.ts";

const NO_BYTES = new Uint8Array(0);
const snapshot = (index: number, term: number, configuration = new Uint8Array([7, 8])) => ({
  ...{ index, term, configuration },
});

async function reopened({ disk, open }: RaftLogWorld, log?: RaftLog): Promise<RaftLog> {
  if (log === undefined) disk.powerCut();
  else await log.close();
  return open();
}

function segments({ disk }: RaftLogWorld): Promise<readonly string[]> {
  return disk.list("raft").then((names) => names.filter((name) => name.endsWith(".segment")));
}

test("an empty folder is term 0 without entries", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  expect(log.recovered).toEqual({
    ...{ term: 0, vote: 0, firstIndex: 1, lastIndex: 0 },
    ...{ entries: NO_BYTES, tornBytes: 0 },
  });
  const again = await reopened(world, log);
  expect(textOf(again.recovered)).toBe("term 0 vote 0, no snapshot, from 1: ");
});

test("what a token says is durable outlives a power cut; what was only saved may not", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  const told: number[] = [];
  log.onDurable((token) => told.push(token));
  const bytes = run(2, 3);
  const token = log.save({ state: { term: 3, vote: 2 }, entries: { firstIndex: 1, run: bytes } });
  // The caller may use its memory again.
  bytes.fill(0xee);
  expect([log.durableToken < token, log.pendingBytes > 0]).toEqual([true, true]);
  await world.clock.settle();
  expect([log.durableToken >= token, told.some((one) => one >= token), log.pendingBytes]).toEqual([
    ...[true, true, 0],
  ]);
  // Entries alone keep term and vote; a vote alone keeps the entries.
  log.save({ entries: { firstIndex: 3, run: run(1, 3) } });
  log.save({ state: { term: 4, vote: 1 } });
  expect(log.save({})).toBe(log.save({ state: { term: 4, vote: 1 } }));
  await world.clock.settle();
  const again = await reopened(world);
  expect(textOf(again.recovered)).toBe("term 4 vote 1, no snapshot, from 1: 3:8x1 3:8x2 3:8x1");
  again.save({ entries: { firstIndex: 4, run: run(1, 4) } });
  const once = await reopened(world);
  expect(once.recovered.lastIndex).toBe(3);
});

test("a save from a lower index overrides everything from there on", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  log.save({ state: { term: 2, vote: 0 }, entries: { firstIndex: 1, run: run(3, 1) } });
  log.save({ entries: { firstIndex: 4, run: run(2, 2) } });
  log.save({ state: { term: 5, vote: 0 }, entries: { firstIndex: 3, run: run(1, 4, 3) } });
  log.save({ entries: { firstIndex: 4, run: run(1, 5, 0) } });
  const again = await reopened(world, log);
  expect(textOf(again.recovered)).toBe("term 5 vote 0, no snapshot, from 1: 1:8x1 1:8x2 4:3x1 5:0x0");
  again.save({ entries: { firstIndex: 1, run: run(1, 5, 9) } });
  const last = await reopened(world, again);
  expect(textOf(last.recovered)).toBe("term 5 vote 0, no snapshot, from 1: 5:9x1");
});

test("compaction removes segments, and what is left says where the log goes on", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  log.save({ state: { term: 6, vote: 3 } });
  for (let index = 1; index <= 200; index += 1) {
    log.save({ entries: { firstIndex: index, run: run(1, 6, 100) } });
    await world.clock.settle();
  }
  const before = (await segments(world)).length;
  expect(before).toBeGreaterThan(6);
  log.compact(snapshot(190, 6));
  // At or below the last one: nothing to do.
  expect(log.compact(snapshot(100, 6))).toBe(log.compact(snapshot(190, 6)));
  await world.clock.settle();
  expect((await segments(world)).length).toBeLessThanOrEqual(2);
  const again = await reopened(world);
  expect(textOf(again.recovered)).toMatch(
    /^term 6 vote 3, snapshot 190\/6 \[7,8\], from 191: (6:100x1 ?){10}$/,
  );
  // Everything: only the mark is left, then the log goes on behind it.
  again.compact(snapshot(200, 6));
  again.save({ entries: { firstIndex: 201, run: run(1, 6) } });
  const last = await reopened(world, again);
  expect(textOf(last.recovered)).toBe("term 6 vote 3, snapshot 200/6 [7,8], from 201: 6:8x1");
});

test("a log that is compacted now and then stays as small as what lives in it", async () => {
  const world = raftLogWorld();
  let log = await world.open();
  log.save({ state: { term: 1, vote: 0 } });
  let most = 0;
  for (let index = 1; index <= 3000; index += 1) {
    log.save({ entries: { firstIndex: index, run: run(1, 1, 200) } });
    if (index % 50 === 0) {
      log.compact(snapshot(index - 10, 1));
      await world.clock.settle();
      most = Math.max(most, (await segments(world)).length);
    }
    if (index % 1000 === 0) log = await reopened(world, log);
  }
  // 60 entries of 244 bytes live at the most: four segments, one that is begun, one that the marks keep too long.
  expect(most).toBeLessThanOrEqual(6);
});

test("an installed snapshot takes the place of the whole log", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  log.save({ state: { term: 2, vote: 1 }, entries: { firstIndex: 1, run: run(40, 2, 200) } });
  const token = log.reset({ ...snapshot(1000, 7), state: { term: 8, vote: 0 } });
  log.save({ entries: { firstIndex: 1001, run: run(1, 8) } });
  await world.clock.settle();
  expect([log.durableToken >= token, (await segments(world)).length]).toEqual([true, 1]);
  const again = await reopened(world);
  expect(textOf(again.recovered)).toBe("term 8 vote 0, snapshot 1000/7 [7,8], from 1001: 8:8x1");
  // A shorter log than before: what the leader has not is gone.
  again.save({ entries: { firstIndex: 1002, run: run(5, 8) } });
  again.reset({ ...snapshot(1003, 8, NO_BYTES), state: { term: 8, vote: 0 } });
  const last = await reopened(world, again);
  expect(textOf(last.recovered)).toBe("term 8 vote 0, snapshot 1003/8 [], from 1004: ");
});

test("a long run becomes several records, a long entry has one of its own", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  const state = { term: 1, vote: 1 };
  const token = log.save({ state, entries: { firstIndex: 1, run: run(100, 1, 90) } });
  log.save({ entries: { firstIndex: 101, run: run(2, 1, 3000) } });
  await world.clock.settle();
  expect(log.durableToken).toBeGreaterThanOrEqual(token);
  const again = await reopened(world);
  expect(again.recovered).toMatchObject({ ...state, firstIndex: 1, lastIndex: 102 });
  expect(again.recovered.entries).toEqual(new Uint8Array(Buffer.concat([run(100, 1, 90), run(2, 1, 3000)])));
  again.releaseRecovered();
  expect(again.recovered).toMatchObject({ entries: NO_BYTES, lastIndex: 102 });
});

test("a save that cannot be is refused as a whole", async () => {
  const world = raftLogWorld();
  const log = await world.open({ pendingBytesMax: 8192 });
  log.save({ state: { term: 3, vote: 0 }, entries: { firstIndex: 1, run: run(4, 3) } });
  log.compact(snapshot(2, 3));
  const save = (firstIndex: number, bytes: Uint8Array, state = { term: 3, vote: 1 }) => {
    const call = (): unknown => log.save({ state, entries: { firstIndex, run: bytes } });
    return call;
  };
  const refused = (code: string) => expect.objectContaining({ code });
  const argument = refused("ARGUMENT");
  expect(save(6, run(1, 3))).toThrow(argument);
  expect(save(2, run(1, 3))).toThrow(argument);
  expect(save(5, run(1, 2))).toThrow(argument);
  expect(save(5, run(1, 4))).toThrow(argument);
  expect(save(5, new Uint8Array([...run(1, 3), ...run(1, 2)]))).toThrow(argument);
  expect(save(5, run(2, 3).subarray(0, 40))).toThrow(argument);
  expect(save(5, run(1, 3), { term: 2, vote: 0 })).toThrow(argument);
  expect(save(5, run(1, 3), { term: 3, vote: -1 })).toThrow(argument);
  expect(save(Number.NaN, run(1, 3))).toThrow(argument);
  expect(save(5, run(1, 3, 4096))).toThrow(refused("RECORD_OVERSIZE"));
  expect(save(5, run(10, 3, 1000))).toThrow(refused("RECORD_OVERSIZE"));
  expect(() => log.compact(snapshot(5, 3))).toThrow(argument);
  expect(() => log.compact(snapshot(4, 4))).toThrow(argument);
  expect(() => log.compact(snapshot(4, 3, new Uint8Array(65_537)))).toThrow(argument);
  expect(() => log.reset({ ...snapshot(1, 3), state: { term: 3, vote: 0 } })).toThrow(argument);
  expect(() => log.reset({ ...snapshot(9, 4), state: { term: 3, vote: 0 } })).toThrow(argument);
  for (let index = 5; index < 12; index += 1) save(index, run(1, 3, 1000))();
  expect(save(12, run(1, 3, 1000))).toThrow(refused("QUEUE_FULL"));
  await world.clock.settle();
  const again = await reopened(world, log);
  expect(again.recovered).toMatchObject({ term: 3, vote: 1, firstIndex: 3, lastIndex: 11 });
});

test("a full disk stops what becomes durable, and says so, until there is room", async () => {
  const world = raftLogWorld(1, 8200);
  const log = await world.open();
  const states: string[] = [];
  log.onState((state) => states.push(state));
  let token = log.save({ state: { term: 1, vote: 0 } });
  for (let index = 1; index <= 40; index += 1)
    token = log.save({ entries: { firstIndex: index, run: run(1, 1, 240) } });
  await world.clock.advance(2000);
  expect([log.state, log.durableToken < token]).toEqual(["full", true]);
  world.disk.capacityBytes = 1_000_000;
  await world.clock.advance(2000);
  expect([states, log.durableToken >= token]).toEqual([["full", "ok"], true]);
});

test("a failed sync ends the log", async () => {
  const world = raftLogWorld();
  const log = await world.open();
  const ends: unknown[] = [];
  log.onFatal((error) => ends.push(error));
  world.disk.failSyncs();
  const token = log.save({ state: { term: 1, vote: 1 } });
  await world.clock.settle();
  expect(ends).toEqual([expect.objectContaining({ code: "DISK_SYNC" })]);
  expect(log.durableToken).toBeLessThan(token);
  expect(() => log.save({ state: { term: 2, vote: 1 } })).toThrow(
    expect.objectContaining({ code: "DISK_SYNC" }),
  );
});

test.each(["compact", "reset"] as const)(
  "segments that cannot be removed after a %s go at the next start",
  async (how) => {
    const world = raftLogWorld();
    const lines: string[] = [];
    const logger = {
      ...{ debug: () => undefined, info: () => undefined, error: () => undefined },
      warn: (message: string) => lines.push(message),
    };
    const disk = { ...world.disk.mount(), remove: () => Promise.reject(new Error("busy")) };
    const log = await world.open({ logger, disk });
    const state = { term: 1, vote: 0 };
    log.save({ state, entries: { firstIndex: 1, run: run(60, 1, 200) } });
    if (how === "compact") log.compact(snapshot(60, 1));
    else log.reset({ ...snapshot(60, 1), state });
    await world.clock.settle();
    expect(lines).toEqual([expect.stringContaining("could not be removed")]);
    expect((await segments(world)).length).toBeGreaterThan(3);
    await reopened(world);
    await world.clock.settle();
    expect((await segments(world)).length).toBe(1);
  },
);

/** A folder whose segment log holds just these records. */
async function recordsOf(records: readonly Uint8Array[], cutBelow?: number): Promise<RaftLogWorld> {
  const world = raftLogWorld();
  const { disk, clock } = world;
  const log = await openSegmentLog({
    ...{ disk: disk.mount(), folder: "raft", clock, random: seededRandom(9), segmentBytes: 512 },
  });
  const offsets = records.map((record) => log.append(record));
  await clock.settle();
  if (cutBelow !== undefined) await log.removeBefore(offsets[cutBelow] as number);
  await log.close();
  return world;
}

function saved(term: number, firstIndex: number, bytes: Uint8Array = NO_BYTES): Uint8Array {
  const record = new Uint8Array(24 + bytes.length);
  setSaveHeader(new DataView(record.buffer), { term, vote: 0 }, firstIndex);
  record.set(bytes, 24);
  return record;
}

const mark = (kind: "compact" | "reset", index: number, term: number, nodeTerm = 9) =>
  encodeSnapshotRecord(kind, { term: nodeTerm, vote: 0 }, snapshot(index, term));

test.each([
  ["a hole", [saved(1, 1, run(2, 1)), saved(1, 4, run(1, 1))], /entries 3 to 3 are missing/],
  ["a hole at the start", [saved(1, 2, run(1, 1))], /entries 1 to 1 are missing/],
  [
    "a hole after a snapshot",
    [mark("reset", 10, 1), saved(9, 12, run(1, 9))],
    /entries 11 to 11 are missing/,
  ],
  [
    "an entry's term goes back",
    [saved(2, 1, run(1, 2)), saved(2, 2, run(1, 1))],
    /below that of the one before/,
  ],
  [
    "an entry's term goes back behind a snapshot",
    [mark("reset", 10, 5), saved(9, 11, run(1, 4))],
    /below that/,
  ],
  ["the node's term goes back", [saved(2, 0), saved(1, 0)], /the term goes back/],
  ["an entry above the node's term", [saved(1, 1, run(1, 2))], /a term above the node's/],
  ["an entry below the snapshot", [mark("reset", 10, 1), saved(9, 10, run(1, 9))], /below the snapshot/],
  ["a snapshot beyond the log", [saved(9, 1, run(2, 1)), mark("compact", 3, 1)], /beyond the last entry/],
  ["a snapshot of another term", [saved(9, 1, run(2, 1)), mark("compact", 2, 2)], /the entry 1/],
  ["a snapshot that goes back", [mark("reset", 10, 1), mark("reset", 9, 1)], /follows one at 10/],
  ["a snapshot above the node's term", [mark("reset", 10, 2, 1)], /a term above the node's/],
  ["a cut run", [saved(1, 1, run(2, 1).subarray(0, 40))], /entry 2 is cut off/],
  ["bytes of something else", [new Uint8Array([9, 1, ...new Uint8Array(30)])], /no kind 9/],
  ["a short record", [new Uint8Array([1, 1, 0])], /too short/],
])("%s is corruption, which names the offset and what to do", async (_, records, message) => {
  const world = await recordsOf(records);
  const opening = world.open();
  await expect(opening).rejects.toMatchObject({
    code: "LOG_CORRUPT",
    message: expect.stringMatching(message),
  });
  await expect(opening).rejects.toMatchObject({
    message: expect.stringMatching(/at offset \d+: .*remove it from the cluster/),
    context: { offset: expect.any(Number) },
  });
  // The folder is let go of.
  await expect(world.open()).rejects.toMatchObject({ code: "LOG_CORRUPT" });
});

test("a log whose beginning is missing without a mark is corrupt, and one with a mark too short", async () => {
  const entries = [1, 2, 3, 4].map((index) => saved(9, index, run(1, 9, 360)));
  const bare = await recordsOf(entries, 2);
  await expect(bare.open()).rejects.toMatchObject({
    code: "LOG_CORRUPT",
    message: expect.stringMatching(/none says/),
  });
  const short = await recordsOf([...entries, mark("compact", 1, 9)], 2);
  await expect(short.open()).rejects.toMatchObject({
    message: expect.stringMatching(/1 entries after index 1 are missing/),
  });
  const good = await recordsOf([...entries, mark("compact", 2, 9)], 2);
  expect((await good.open()).recovered).toMatchObject({ firstIndex: 3, lastIndex: 4 });
});

test("another format is refused by its number", async () => {
  const world = await recordsOf([new Uint8Array([1, 2, 0, 0])]);
  await expect(world.open()).rejects.toMatchObject({ code: "FORMAT_VERSION" });
});
