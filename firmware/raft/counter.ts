/**
 * An example: a button on each board (pin 6 to 3V3) counts up a number that all boards agree on. Pin 7 of every board is high while the number is odd; the
 * LED is lit on the board that leads.
 */
import {
  agreed,
  INPUT,
  isPending,
  leader,
  OUTPUT,
  pinMode,
  pinRead,
  pinWrite,
  proposeAdd,
  self,
} from "tardigrade/firmware/raft";

const BUTTON: u32 = 6;
const LAMP: u32 = 7;
const LED: u32 = 25;
const COUNT: u32 = 0;
const LOOK_US: u64 = 10_000;

let wasPressed: bool = false;
/** Presses that are not proposed yet. */
let presses: u32 = 0;

export function setup(): void {
  pinMode(BUTTON, INPUT);
  pinMode(LAMP, OUTPUT);
  pinMode(LED, OUTPUT);
}

/** Called at least as often as it asks for; returns when it wants to be called next. */
export function loop(now: u64): u64 {
  const isPressed = pinRead(BUTTON) == 1;
  if (isPressed && !wasPressed) ++presses;
  wasPressed = isPressed;
  if (presses > 0 && !isPending() && proposeAdd(COUNT, presses)) presses = 0;
  pinWrite(LAMP, agreed(COUNT) & 1);
  pinWrite(LED, leader() == self() ? 1 : 0);
  return now + LOOK_US;
}
