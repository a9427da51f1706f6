/** What the system calls in an app; the toolchain exports these beside the app's `setup`. */
import { callCommand } from "./command";
import { callShadow } from "./shadow";
import { callTimer } from "./timer";

export function on_timer(id: u32): void {
  callTimer(id);
}
/** The command and its arguments lie in the inbox that the app named; returns a status. */
export function on_command(_ptr: usize, _length: i32): i32 {
  return callCommand();
}
/** The values are read through `shadow_value`. */
export function on_shadow(_ptr: usize, _length: i32): void {
  callShadow();
}
