/** The smallest app: an LED that blinks, twice a second, and a log line at start. */
import { every, line, Output } from "tardigrade/firmware";

const LED: u32 = 25;
let led = new Output(LED);

function blink(): void {
  led.toggle();
}

export function setup(): void {
  line("blink on pin ").int(LED).info();
  every(500, blink);
}
