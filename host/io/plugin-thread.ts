/**
 * The thread that a plugin lives in: takes a call, answers it, takes the next. What it answers is checked for its size here, so that a
 * plugin cannot bury the gateway under its answer; everything else about it is checked by host/gateway/plain/plugin-output.ts.
 *
 * A trap poisons the instance ("cannot enter component instance"), and so does an answer that could not be lifted: a new one takes its
 * place before the next call.
 */
import { type MessagePort, workerData } from "node:worker_threads";
import type { PluginCall } from "./seams.ts";

export interface ThreadJob {
  readonly port: MessagePort;
  /** What jco wrote. */
  readonly script: string;
  readonly modules: ReadonlyMap<string, WebAssembly.Module>;
  readonly memoryBytesMax: number;
}

type FailureCode = "PLUGIN_TRAP" | "PLUGIN_MEMORY" | "PLUGIN_OUTPUT" | "PLUGIN_REFUSED";

export type ThreadMessage =
  | { readonly type: "ready" }
  | { readonly type: "unfit"; readonly code: "PLUGIN_INVALID" | "PLUGIN_MEMORY"; readonly message: string }
  | { readonly type: "answer"; readonly answer: unknown }
  /** `isOver`: a new instance is made, and `ready` follows. */
  | {
      readonly type: "failure";
      readonly code: FailureCode;
      readonly message: string;
      readonly isOver: boolean;
    };

/** Characters, bytes and items in an answer. */
const ANSWER_UNITS_MAX = 65_536;
const ANSWER_DEPTH_MAX = 6;
const REFUSAL_CHARS_MAX = 200;

interface Plugin {
  decode(topic: string, payload: Uint8Array): unknown;
  encode(device: string, state: string, value: { readonly tag: string; readonly val: unknown }): unknown;
}

interface Script {
  instantiate(
    getModule: (name: string) => WebAssembly.Module,
    imports: object,
    instantiateCore: (module: WebAssembly.Module, imports: WebAssembly.Imports) => WebAssembly.Instance,
  ): Plugin;
}

const { port, script, modules, memoryBytesMax } = workerData as ThreadJob;
let memories: WebAssembly.Memory[] = [];

function instantiate({ instantiate: make }: Script): Plugin {
  memories = [];
  const used = new Set<WebAssembly.Module>();
  return make(
    (name) => modules.get(name) as WebAssembly.Module,
    {},
    (module, imports) => {
      // Twice the module would be twice its memory.
      if (used.has(module)) throw new Error("it instantiates a core module twice");
      used.add(module);
      const instance = new WebAssembly.Instance(module, imports);
      for (const exported of Object.values(instance.exports)) {
        if (exported instanceof WebAssembly.Memory && !memories.includes(exported)) memories.push(exported);
      }
      return instance;
    },
  );
}

function answerOf(plugin: Plugin, call: PluginCall): unknown {
  if (call.kind === "decode") return plugin.decode(call.topic, call.payload);
  const { device, state, value } = call;
  const tag = typeof value === "string" ? "text" : typeof value;
  return plugin.encode(device, state, { tag, val: value });
}

/** What is left of `budget` after a value; below 0 when it is too much. */
function left(budget: number, value: unknown, depth = 0): number {
  if (typeof value === "string") return budget - value.length - 1;
  if (ArrayBuffer.isView(value)) return budget - value.byteLength - 1;
  if (typeof value !== "object" || value === null) return budget - 1;
  if (depth > ANSWER_DEPTH_MAX) return -1;
  const inner = Array.isArray(value) ? value : Object.values(value);
  let rest = budget - inner.length;
  for (const item of inner) {
    if (rest < 0) return rest;
    rest = left(rest, item, depth + 1);
  }
  return rest;
}

function failureOf(error: unknown): ThreadMessage {
  // The error of a result is thrown as it is.
  if (typeof error === "string") {
    return {
      type: "failure",
      code: "PLUGIN_REFUSED",
      message: error.slice(0, REFUSAL_CHARS_MAX),
      isOver: false,
    };
  }
  const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
  const isTrap =
    error instanceof WebAssembly.RuntimeError ||
    (error instanceof RangeError && /call stack/i.test(error.message));
  if (!isTrap) {
    const message = `its answer cannot be read: ${reason}`;
    return { type: "failure", code: "PLUGIN_OUTPUT", message, isOver: true };
  }
  const bytes = memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  // An allocator that gets no more memory traps like a bug does; languages grow by doubling, so half the limit tells.
  const isMemory = /unreachable/.test(error.message) && bytes * 2 > memoryBytesMax;
  const held = `${(bytes / 2 ** 20).toFixed(1)} of ${memoryBytesMax / 2 ** 20} MB in use`;
  const message = `it trapped (${reason}) with ${held}`;
  return { type: "failure", code: isMemory ? "PLUGIN_MEMORY" : "PLUGIN_TRAP", message, isOver: true };
}

function say(message: ThreadMessage): void {
  port.postMessage(message);
}

function made(library: Script): Plugin | undefined {
  try {
    const plugin = instantiate(library);
    say({ type: "ready" });
    return plugin;
  } catch (error) {
    const code = error instanceof RangeError ? "PLUGIN_MEMORY" : "PLUGIN_INVALID";
    const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    say({ type: "unfit", code, message: `it does not start: ${reason}` });
    return undefined;
  }
}

// From memory: nothing that a plugin is made of touches the disk.
const library = (await import(
  `data:text/javascript;base64,${Buffer.from(script).toString("base64")}`
)) as Script;
let plugin = made(library);

port.on("message", (call: PluginCall) => {
  if (plugin === undefined) return;
  try {
    const answer = answerOf(plugin, call);
    if (left(ANSWER_UNITS_MAX, answer) < 0) {
      const message = `its answer is larger than ${ANSWER_UNITS_MAX} characters, bytes and items`;
      say({ type: "failure", code: "PLUGIN_OUTPUT", message, isOver: false });
    } else say({ type: "answer", answer });
  } catch (error) {
    const failure = failureOf(error);
    say(failure);
    if (failure.type === "failure" && failure.isOver) plugin = made(library);
  }
});
