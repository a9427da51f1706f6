/**
 * Three boards in a ring run what devices link, in Node; support/raft-ring/ring.ts says what is checked at every step. test/boards/native/raft-ring.test.ts has fewer
 * lives on emulated Picos.
 */
import { expect, test } from "vitest";
import { hostedBoards } from "../support/raft-ring/hosted.ts";
import { LEADING, readJournal } from "../support/raft-ring/layouts.ts";
import { Ring, type Seat } from "../support/raft-ring/ring.ts";
import { storm } from "../support/raft-ring/storm.ts";

const DEEP = process.env.TARDIGRADE_DEEP === "1";
const STORMS = DEEP ? 3000 : 40;
const JOURNAL_CORRUPT = 1;
const boards = await hostedBoards("firmware/raft/counter.ts");

function led(seed: number): { readonly ring: Ring; readonly leader: Seat; readonly others: readonly Seat[] } {
  const ring = new Ring(boards, seed);
  ring.until("a leader", () => ring.leader !== undefined && ring.committed > 0, 5000);
  const leader = ring.leader as Seat;
  return { ring, leader, others: ring.seats.filter((seat) => seat !== leader) };
}

test("three boards elect one, and agree on what each of them proposes", () => {
  const { ring } = led(1);
  for (const seat of ring.seats) ring.press(seat);
  ring.settle();
  expect(ring.count).toBe(3);
  expect(ring.seats.map(({ board }) => board.lamp())).toEqual([1, 1, 1]);
  expect(ring.seats.filter(({ state }) => state?.role === LEADING)).toHaveLength(1);
});

test("flash erases do not cost the leader its office, and the log stays within 64 entries", () => {
  const { ring, leader } = led(2);
  ring.pressAll(20_000);
  ring.settle();
  expect(ring.committed).toBeGreaterThan(300);
  expect(ring.count).toBe(ring.presses);
  for (const seat of ring.seats) {
    const { generation } = readJournal(seat.board.journal()) as { generation: number };
    expect(generation).toBeGreaterThan(5);
    expect(seat.state).toMatchObject({ term: 1, leader: leader.id });
    const { first = 0, last = 0 } = seat.state ?? {};
    expect(last + 1 - first).toBeLessThanOrEqual(64);
  }
});

test.each([1, 2, 3])("wire %i is cut: the board between passes on, and the leader stays", (wire) => {
  const { ring, leader } = led(3);
  ring.cutWire(wire, (wire % 3) + 1);
  ring.run(3000);
  ring.pressAll(2000);
  ring.run(1000);
  expect(ring.count).toBe(ring.presses);
  expect(ring.leader).toBe(leader);
  // It may have taken an election when the cut came; none since.
  const { term } = leader.state as { term: number };
  ring.run(5000);
  expect(leader.state?.term).toBe(term);
  ring.settle();
});

test("the leader is cut off: the two others go on, and what it alone had is given up", () => {
  const { ring, leader, others } = led(4);
  for (const { id } of others) ring.cutWire(leader.id, id);
  ring.press(leader);
  ring.until("another leader", () => ring.leader !== leader && ring.leader !== undefined, 5000);
  ring.press(others[0] as Seat);
  ring.run(500);
  expect(ring.count).toBe(1);
  // Its own press is proposed again, and counts once.
  ring.cut.clear();
  ring.run(2000);
  ring.settle();
  expect(ring.count).toBe(2);
});

test("a board that was away gets the state instead of the entries", () => {
  const { ring, others } = led(5);
  const away = others[0] as Seat;
  ring.powerCut(away, 60_000);
  ring.pressAll(12_000);
  expect(ring.committed).toBeGreaterThan(150);
  ring.settle();
  expect(readJournal(away.board.journal())?.snapshot).toBeGreaterThan(100);
  expect(ring.count).toBe(ring.presses);
});

test("without a majority nothing is agreed; all without power keep what was", () => {
  const { ring, leader, others } = led(6);
  ring.pressAll(1000);
  ring.run(500);
  const count = ring.count;
  expect(count).toBe(ring.presses);
  for (const other of others) ring.powerCut(other, 60_000);
  ring.run(200);
  ring.press(leader);
  ring.run(5000);
  expect(ring.count).toBe(count);
  expect(leader.state?.role).not.toBe(LEADING);
  ring.powerCut(leader, 100);
  ring.settle();
  expect(ring.count).toBeGreaterThanOrEqual(count);
  expect(ring.count).toBeLessThanOrEqual(count + 1);
});

test("the power goes at each erase and program", () => {
  // A first start has some 30 of them; sectors are moved at about 250, 450 and on.
  const every = DEEP ? 1 : 17;
  for (const how of ["cut-before", "cut-during", "cut-after"] as const) {
    for (let at = 1; at < 520; at += every) {
      const ring = new Ring(boards, at);
      const seat = ring.seat(1 + (at % 3));
      // A board has begun to write before the first step.
      const after = at - seat.operations;
      if (after < 1) continue;
      ring.cutAtFlash(seat, after, how);
      ring.pressAll(at < 40 ? 3000 : 5000);
      ring.settle();
      expect(ring.count).toBeGreaterThan(20);
    }
  }
});

test(`${STORMS} storms of power cuts, flash cuts and cut wires`, () => {
  const lives = { powerCuts: 0, flashCuts: 0, wireCuts: 0 };
  for (let seed = 1; seed <= STORMS; seed += 1) {
    const ring = new Ring(boards, seed + (DEEP ? process.pid * 10_000 : 0));
    const did = storm(ring, 30_000);
    lives.powerCuts += did.powerCuts;
    lives.flashCuts += did.flashCuts;
    lives.wireCuts += did.wireCuts;
    ring.settle();
    const before = ring.count;
    for (const seat of ring.seats) ring.press(seat);
    ring.settle();
    expect(ring.count).toBeGreaterThanOrEqual(before + 3);
    expect(ring.count).toBeLessThanOrEqual(ring.presses);
  }
  expect(Math.min(...Object.values(lives))).toBeGreaterThan(STORMS);
});

test.each([
  ["a record's bit", 200, 1],
  ["the header", 4, 0x40],
])("%s of the journal is damaged: the board takes no part, the others go on", (_what, at, bit) => {
  const { ring, others } = led(7);
  ring.pressAll(2000);
  ring.settle();
  const hurt = others[0] as Seat;
  ring.powerCut(hurt, 100);
  const area = hurt.board.journal().slice();
  const sector = newestSector(area);
  area[sector + at] = (area[sector + at] as number) ^ bit;
  hurt.board.setJournal(area);
  hurt.isOut = true;
  ring.pressAll(3000);
  expect(ring.condition(hurt)).toBe(JOURNAL_CORRUPT);
  ring.settle();
  expect(ring.committed).toBeGreaterThan(50);
});

test("a board whose journal was erased while the others agree joins anew, and is counted", () => {
  for (let seed = 10; seed < 20; seed += 1) {
    const { ring, leader, others } = led(seed);
    const erased = others[0] as Seat;
    for (let press = 0; press < 3; press += 1) {
      ring.press(erased);
      ring.run(300);
    }
    ring.settle();
    expect(ring.count).toBe(3);
    ring.powerCut(erased, 100);
    erased.board.setJournal(new Uint8Array(erased.board.journal().length).fill(0xff));
    erased.term = 0;
    ring.run(1000);
    // To this leader the board has what it once acknowledged.
    ring.powerCut(leader, 100);
    ring.run(2500);
    for (let press = 0; press < 3; press += 1) {
      ring.press(erased);
      ring.run(300);
    }
    ring.settle();
    expect(ring.count).toBe(6);
  }
});

test("a board whose jumpers say that it is another takes no part", () => {
  const { ring, others } = led(8);
  const [one, other] = others as [Seat, Seat];
  for (const seat of [one, other]) ring.powerCut(seat, 100);
  const journals = [one, other].map(({ board }) => board.journal().slice());
  one.board.setJournal(journals[1] as Uint8Array);
  one.isOut = true;
  ring.run(3000);
  expect(ring.condition(one)).toBe(JOURNAL_CORRUPT);
  ring.settle();
});

function newestSector(area: Uint8Array): number {
  const view = new DataView(area.buffer, area.byteOffset, area.length);
  const sectors = Array.from({ length: area.length / 4096 }, (_, index) => index * 4096);
  const generation = (at: number) =>
    view.getUint32(at, true) === 0x4652_4454 ? view.getUint32(at + 4, true) : 0;
  return sectors.reduce((best, at) => (generation(at) > generation(best) ? at : best));
}
