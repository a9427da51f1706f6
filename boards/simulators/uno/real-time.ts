/**
 * An emulated Uno at the pace of a clock. Its programs never sleep, so it costs a third to a half of a core as long as it runs: it
 * belongs in a worker. A host that was held up lets the board catch up a little, and lets the rest go as if its crystal had stood.
 */
import type { BoardClock } from "../virtual/board.ts";
import type { UnoMachine } from "./machine.ts";

const SLICE_MS = 5;
/** More than this behind is given up. */
const BEHIND_US_MAX = 100_000;

/** Runs it until the returned function is called. */
export function runInRealTime(machine: UnoMachine, clock: BoardClock): () => void {
  let lastUs = clock.monotonicMs() * 1000;
  let running = true;
  let cancel = (): void => {};
  const turn = (): void => {
    const nowUs = clock.monotonicMs() * 1000;
    machine.advance(Math.min(nowUs - lastUs, BEHIND_US_MAX));
    lastUs = nowUs;
    if (running) cancel = clock.alarm(SLICE_MS, turn);
  };
  turn();
  return () => {
    running = false;
    cancel();
  };
}
