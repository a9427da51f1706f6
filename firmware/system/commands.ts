/**
 * Commands: run once, answered as often as asked. The gateway repeats a command until it hears the answer; the last
 * answers are kept, so a repeated id is answered from memory and the app does not run twice.
 */
import {
  COMMAND_ARGS_MAX,
  COMMANDS_MAX,
  KIND_COMMAND_RESULT,
  NAME_BYTES_MAX,
} from "../../assembly/codec/schema.generated";
import { ARGUMENT, COMMAND_UNKNOWN, POOL_FULL } from "../../assembly/errors/codes.generated";
import {
  buildElement,
  buildEnd,
  buildList,
  buildStart,
  buildText,
  buildUint,
  buildValue,
  built,
  VALUE_NONE,
} from "./build";
import { clockStamp } from "./clock";
import { hal_app_command, hal_app_read, hal_app_write } from "./hal";
import { linkSend } from "./link";
import { reserve } from "./memory";
import { parseFind, parseLength, parsePointer, parseUint, parseValue, parseValueType } from "./parse";

/** Each command: +0 name length u32, +4 name. */
const COMMAND_BYTES: usize = 28;
const commands: usize = reserve(<usize>COMMANDS_MAX * COMMAND_BYTES);
let commandCount: u32 = 0;

/** The base's own command. */
const RESTART_APP: usize = memory.data<u8>([
  0x72, 0x65, 0x73, 0x74, 0x61, 0x72, 0x74, 0x2d, 0x61, 0x70, 0x70,
]);
const RESTART_APP_BYTES: u32 = 11;

/** Each answer: +0 value f64, +8 id u32, +12 code u32, +16 type u32, +20 sent u32. The oldest is overwritten. */
const ANSWERS_MAX: u32 = 8;
const ANSWER_BYTES: usize = 24;
const answers: usize = reserve(<usize>ANSWERS_MAX * ANSWER_BYTES);
let answerCount: u32 = 0;

/**
 * What the app gets: +0 command u32, +4 argument count u32, then each argument in 40 bytes:
 * +0 value f64, +8 type u32, +12 name length u32, +16 name.
 */
const ARGUMENT_BYTES: usize = 40;
const INBOX_BYTES: i32 = 8 + COMMAND_ARGS_MAX * 40;
const call: usize = reserve(<usize>INBOX_BYTES);
let inbox: usize = 0;
let resultType: u32 = VALUE_NONE;
let resultValue: f64 = 0;

export function commandsClear(): void {
  commandCount = 0;
  inbox = 0;
}

export function commandAdd(name: usize, length: i32, appInbox: usize): i32 {
  if (length < 1 || length > NAME_BYTES_MAX) return -ARGUMENT;
  if (commandCount == COMMANDS_MAX) return -POOL_FULL;
  const at = commands + <usize>commandCount * COMMAND_BYTES;
  const status = hal_app_read(name, at + 4, length);
  if (status != 0) return status;
  store<u32>(at, <u32>length);
  inbox = appInbox;
  commandCount += 1;
  return <i32>(commandCount - 1);
}

export function helloCommands(): void {
  buildList(14, commandCount);
  for (let index: u32 = 0; index < commandCount; index += 1) {
    const at = commands + <usize>index * COMMAND_BYTES;
    buildElement();
    buildText(0, at + 4, <i32>load<u32>(at));
  }
}

/** The app's result of the command it is running. */
export function commandResult(type: u32, value: f64): void {
  resultType = type;
  resultValue = value;
}

function answerOf(id: u32): usize {
  const known = answerCount < ANSWERS_MAX ? answerCount : ANSWERS_MAX;
  for (let index: u32 = 0; index < known; index += 1) {
    const at = answers + <usize>index * ANSWER_BYTES;
    if (load<u32>(at, 8) == id) return at;
  }
  return 0;
}

/** Id of the parsed command. */
export function commandId(): u32 {
  return <u32>parseUint(1);
}
/** Whether the parsed command is the base's own, restart-app, and not answered yet. */
export function commandIsRestart(): bool {
  const name = parseFind(2);
  if (parseLength(name) != RESTART_APP_BYTES || answerOf(commandId()) != 0) return false;
  return memory.compare(RESTART_APP, parsePointer(name), RESTART_APP_BYTES) == 0;
}

/** Runs a parsed command, or repeats its answer; one for a stopped app is answered with why. Returns the app's status, APP_TRAP included. */
export function commandRun(stopped: u32): i32 {
  const id = commandId();
  const known = answerOf(id);
  if (known != 0) {
    store<u32>(known, 0, 20);
    return 0;
  }
  const index = find();
  resultType = VALUE_NONE;
  let status = stopped != 0 ? -(<i32>stopped) : index < 0 ? -COMMAND_UNKNOWN : copyCall(<u32>index);
  if (status >= 0) status = hal_app_command(inbox, status);
  answer(id, status);
  return status;
}

/** Answers restart-app. */
export function commandAnswer(id: u32, code: u32): void {
  resultType = VALUE_NONE;
  answer(id, -(<i32>code));
}

function answer(id: u32, status: i32): void {
  const at = answers + <usize>(answerCount % ANSWERS_MAX) * ANSWER_BYTES;
  answerCount += 1;
  store<f64>(at, resultValue);
  store<u32>(at, id, 8);
  store<u32>(at, status < 0 ? <u32>-status : 0, 12);
  store<u32>(at, resultType, 16);
  store<u32>(at, 0, 20);
}

function find(): i32 {
  const name = parseFind(2);
  for (let index: u32 = 0; index < commandCount; index += 1) {
    const at = commands + <usize>index * COMMAND_BYTES;
    const length = load<u32>(at);
    if (length == parseLength(name) && memory.compare(at + 4, parsePointer(name), length) == 0)
      return <i32>index;
  }
  return -1;
}

/** Copies index and arguments into the app's inbox; length or status. */
function copyCall(index: u32): i32 {
  const list = parseFind(3);
  const count = list < 0 ? 0 : <i32>parseLength(list);
  store<u32>(call, index);
  store<u32>(call, <u32>count, 4);
  for (let argument = 0; argument < count; argument += 1) {
    const name = list + argument * 3 + 2;
    const at = call + 8 + <usize>argument * ARGUMENT_BYTES;
    store<f64>(at, parseValue(name + 1));
    store<u32>(at, parseValueType(name + 1), 8);
    store<u32>(at, parseLength(name), 12);
    memory.copy(at + 16, parsePointer(name), parseLength(name));
  }
  const length = 8 + count * <i32>ARGUMENT_BYTES;
  const status = hal_app_write(inbox, call, length);
  return status < 0 ? status : length;
}

/** Sends the answers that wait. */
export function commandsSend(): void {
  const known = answerCount < ANSWERS_MAX ? answerCount : ANSWERS_MAX;
  for (let index: u32 = 0; index < known; index += 1) {
    const at = answers + <usize>index * ANSWER_BYTES;
    if (load<u32>(at, 20) != 0) continue;
    buildStart(KIND_COMMAND_RESULT);
    buildUint(1, load<u32>(at, 8));
    buildUint(2, load<u32>(at, 12));
    if (load<u32>(at, 16) != VALUE_NONE) buildValue(3, load<u32>(at, 16), load<f64>(at));
    clockStamp();
    const length = buildEnd();
    if (length >= 0 && linkSend(built(), length) != 0) return;
    store<u32>(at, 1, 20);
  }
}
