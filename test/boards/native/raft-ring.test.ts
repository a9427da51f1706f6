/**
 * Three emulated Picos in a ring, UART to UART, with the flash image: they elect, agree, and keep what they said over power cuts at any moment, in the middle of flash
 * operations too. support/raft-ring/ring.ts says what is checked at every step; test/boards/raft-ring.test.ts has many more lives of the same module.
 */
import { expect, test } from "vitest";
import { emulatedBoards } from "../../support/raft-ring/emulated.ts";
import { LEADING, readJournal } from "../../support/raft-ring/layouts.ts";
import { Ring, type Seat } from "../../support/raft-ring/ring.ts";
import { storm } from "../../support/raft-ring/storm.ts";

const DEEP = process.env.TARDIGRADE_DEEP === "1";
const HOWS = ["cut-before", "cut-during", "cut-after"] as const;
const boards = await emulatedBoards("firmware/raft/counter.ts");

test("they elect one, agree, live with a cut wire, and replace a leader whose power goes", () => {
  const ring = new Ring(boards, 1);
  ring.until("a leader", () => ring.leader !== undefined && ring.committed > 0, 4000);
  const leader = ring.leader as Seat;
  for (const seat of ring.seats) ring.press(seat);
  ring.settle();
  expect(ring.count).toBe(3);
  expect(ring.seats.map(({ board }) => board.lamp())).toEqual([1, 1, 1]);

  ring.cutWire(1, 2);
  ring.run(1500);
  ring.pressAll(700);
  ring.run(700);
  expect(ring.count).toBe(ring.presses);
  ring.cutWire(1, 2, false);

  ring.powerCut(leader, 3000);
  ring.until("another leader", () => ring.leader !== undefined, 4000);
  expect(ring.leader).not.toBe(leader);
  ring.pressAll(300);
  ring.settle();
  expect(ring.count).toBe(ring.presses);

  for (const seat of ring.seats) ring.powerCut(seat, 50 + seat.id);
  ring.settle();
  expect(ring.count).toBe(ring.presses);
  expect(ring.seats.filter(({ state }) => state?.role === LEADING)).toHaveLength(1);
  // Bytes that no frame came of: none but those that a power cut or an erase tore.
  expect(ring.seats.every(({ state }) => state?.malformed === 0)).toBe(true);
});

test("the power goes in the middle of an erase, of a snapshot, of a vote and of an entry", () => {
  // Of a life's operations: erases of the first start (1, 14), term and vote, entries; and the erase of the first full sector.
  const moments = DEEP ? Array.from({ length: 60 }, (_, index) => 1 + index * 5) : [14, 29, 33, 40];
  const kinds = new Set<string>();
  for (const [index, at] of ["third erase" as const, ...moments].entries()) {
    const ring = new Ring(boards, 1 + index);
    const seat = ring.seat(1 + (index % 3));
    const how = HOWS[(index + 1) % 3] as (typeof HOWS)[number];
    if (at === "third erase") ring.cutAtErase(seat, 3, how);
    else ring.cutAtFlash(seat, at, how);
    const { boots } = readJournal(seat.board.journal()) ?? { boots: 0 };
    ring.until("the cut", () => {
      for (const other of ring.seats) ring.press(other);
      return seat.cut === undefined;
    });
    kinds.add(ring.cutsAtFlash[0]?.kind ?? "");
    ring.run(500);
    ring.pressAll(300);
    ring.settle();
    expect(readJournal(seat.board.journal())?.boots).toBeGreaterThan(boots);
    expect(ring.count).toBeGreaterThan(0);
  }
  expect([...kinds].sort()).toEqual(["erase", "program"]);
});

test("storms of power cuts, flash cuts and cut wires", () => {
  for (let seed = 1; seed <= (DEEP ? 60 : 2); seed += 1) {
    const ring = new Ring(boards, seed + (DEEP ? process.pid * 100 : 0));
    const did = storm(ring, DEEP ? 30_000 : 12_000);
    ring.settle();
    expect(Math.min(...Object.values(did))).toBeGreaterThan(0);
    expect(ring.count).toBeLessThanOrEqual(ring.presses);
  }
});
