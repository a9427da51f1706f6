/** Faults for a ring, from its seed: buttons, power cuts at any time and at erases and programs of the journal, wires cut both ways and one way. */
import type { Ring, Seat } from "./ring.ts";

const HOWS = ["cut-before", "cut-during", "cut-after"] as const;

export interface Storm {
  powerCuts: number;
  flashCuts: number;
  wireCuts: number;
}

export function storm(ring: Ring, ms: number): Storm {
  const { random } = ring;
  const did: Storm = { powerCuts: 0, flashCuts: 0, wireCuts: 0 };
  for (const end = ring.nowMs + ms; ring.nowMs < end; ) {
    for (const seat of ring.seats) if (random.chance(0.6)) ring.press(seat);
    const seat = ring.seat(1 + random.below(3)) as Seat;
    const what = random.below(20);
    if (what === 0) {
      did.powerCuts += 1;
      ring.powerCut(seat, 20 + random.below(2500));
    } else if (what <= 2) {
      did.flashCuts += 1;
      ring.cutAtFlash(seat, 1 + random.below(12), HOWS[random.below(3)] as (typeof HOWS)[number]);
    } else if (what === 3) {
      did.wireCuts += 1;
      ring.cutWire(seat.id, (seat.id % 3) + 1);
    } else if (what === 4) {
      did.wireCuts += 1;
      ring.cut.add(`${seat.id}>${1 + random.below(3)}`);
    } else if (what <= 6) ring.cut.clear();
    ring.run(20 + random.below(200));
  }
  return did;
}
