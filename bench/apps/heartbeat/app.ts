/** The load of a board in the suite "virtual": one metric, one reading a second, each in a message of its own. */
import { every, metric, sendBatch } from "tardigrade/firmware";

const PERIOD_MS: u32 = 1000;

const beats = metric("beats", "1");
let count: u32 = 0;

function beat(): void {
  count += 1;
  beats.record(f64(count));
  sendBatch();
}

export function setup(): void {
  every(PERIOD_MS, beat);
}
