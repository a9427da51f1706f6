/** Commands: the fleet asks the app to do something once and gets an answer. */
import * as tardi from "./tardi";
import { textAppend, textLength, textPtr, textStart } from "./text";

const COMMANDS_MAX: i32 = 8;
const ARGUMENT_BYTES: usize = 40;
/** +0 command u32, +4 count u32, then the arguments: +0 value f64, +8 type u32, +12 name length u32, +16 name. */
const inbox: usize = memory.data(328);
const handlers = new StaticArray<(args: Args) => i32>(COMMANDS_MAX);

/** Arguments of the command that runs; numbers and booleans (as 1 and 0). */
export class Args {
  /** Value of the argument of that name, or `fallback`. */
  number(name: string, fallback: f64): f64 {
    textStart();
    textAppend(name);
    const count = load<u32>(inbox, 4);
    for (let index: u32 = 0; index < count; index += 1) {
      const at = inbox + 8 + <usize>index * ARGUMENT_BYTES;
      const length = <i32>load<u32>(at, 12);
      if (
        load<u32>(at, 8) != 0 &&
        length == textLength() &&
        memory.compare(at + 16, textPtr(), length) == 0
      ) {
        return load<f64>(at);
      }
    }
    return fallback;
  }

  /** Sets the answer's value. */
  answer(value: f64): void {
    tardi.command_result(2, value);
  }
  answerBool(value: bool): void {
    tardi.command_result(1, value ? 1 : 0);
  }
}

const shared = new Args();

/** Answers a command. The handler returns 0, or the negative of an error code. In setup() only; at most eight. */
export function onCommand(name: string, handler: (args: Args) => i32): i32 {
  textStart();
  textAppend(name);
  const index = tardi.command(textPtr(), textLength(), inbox);
  if (index >= 0) handlers[index] = handler;
  return index;
}

export function callCommand(): i32 {
  return handlers[load<u32>(inbox)](shared);
}
