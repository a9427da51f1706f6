/**
 * `tardigrade/firmware/raft`, what an app of a board among peers imports: sixteen numbers that all boards agree on. A board proposes one change at a time; when it is agreed on, a majority has it in
 * flash, and no power cut takes it back.
 */
import { ADD, machineRead, SET } from "./machine";
import { peerCondition, peerIsPending, peerLeader, peerPropose, peerSelf } from "./peer";

export {
  hal_now_us as nowUs,
  hal_pin_mode as pinMode,
  hal_pin_read as pinRead,
  hal_pin_write as pinWrite,
} from "../system/hal";
export { FLASH_FAILED, JOURNAL_CORRUPT, RUNNING, STRAPS_INVALID } from "./peer";

/** Modes of a pin. */
export const INPUT: u32 = 1;
export const OUTPUT: u32 = 2;

/** This board's number, 1 to 3. */
export function self(): u32 {
  return peerSelf();
}
/** Who leads as far as this board knows; 0 for nobody. */
export function leader(): u32 {
  return peerLeader();
}
/** RUNNING, or why this board takes no part. */
export function condition(): u32 {
  return peerCondition();
}

/** A register, 0 to 15, as of what this board knows to be agreed; others may know more already. */
export function agreed(register: u32): u32 {
  return machineRead(register);
}

/** Proposes that a register gets a value. False while an earlier proposal of this board is pending. */
export function proposeSet(register: u32, value: u32): bool {
  return peerPropose(SET, register, value);
}
/** Proposes that `value` is added to a register, once, however often it is sent. */
export function proposeAdd(register: u32, value: u32): bool {
  return peerPropose(ADD, register, value);
}
/** Whether this board's last proposal is not agreed on yet. A power cut forgets it: it may come to be agreed on then, or not. */
export function isPending(): bool {
  return peerIsPending();
}
