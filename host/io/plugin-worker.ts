/**
 * Runs a plugin: a component of the world in protocols/wit/plugin.wit, in a thread of its own.
 *
 *   component --jco, a process--> script + core modules --limits, compile--> thread --ready--> call --> answer
 *                                                                               ^               | past its time: the
 *                                                                               '-- new thread -' thread is ended
 *
 * What bounds it: it imports nothing; its memory's and tables' maxima are written into its core modules, so the engine holds them; its
 * thread is ended when an answer takes longer than its time; the JavaScript heap that its answers are lifted into is bounded too.
 * A new thread is started by the next call, not at once: whoever calls decides how often a failing plugin is tried.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
  type WorkerOptions,
} from "node:worker_threads";
import { TardigradeError } from "../../protocols/error.ts";
import type { ErrorCode } from "../../protocols/table.ts";
import { codeFile } from "./code-file.ts";
import type { ThreadJob, ThreadMessage } from "./plugin-thread.ts";
import type { Transpiled, TranspileJob } from "./plugin-transpile-process.ts";
import type { Clock, PluginCall, PluginRunner } from "./seams.ts";
import { limitModule, PAGE_BYTES } from "./wasm-limits.ts";

export const COMPONENT_BYTES_MAX = 32 * 2 ** 20;
const TABLE_ENTRIES_MAX = 65_536;
/** Core modules of one component; JavaScript engines have a handful. */
const MODULES_MAX = 16;
/** Turning a component into JavaScript; the largest take seconds. */
const TRANSPILE_MS = 60_000;
/** Until a thread with a fresh instance is ready. */
const START_MS = 10_000;
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 } as const;
/** For turning a component into JavaScript, which takes what it takes; this keeps a wrong file from taking everything. */
const TRANSPILE_HEAP_MB = 512;

export interface PluginOptions {
  /** In messages. */
  readonly name: string;
  readonly component: Uint8Array;
  /** Text of protocols/wit/plugin.wit. */
  readonly world: string;
  /** For one call, and at most. */
  readonly timeMs: number;
  readonly memoryMb: number;
  readonly clock: Clock;
}

/** Rejects with PLUGIN_INVALID, PLUGIN_MEMORY (it starts beyond its limit) or DEPENDENCY_MISSING. */
export async function openPlugin(options: PluginOptions): Promise<PluginRunner> {
  const { name, component, memoryMb } = options;
  const fail = (code: ErrorCode, message: string, cause?: unknown): TardigradeError =>
    new TardigradeError(code, `Plugin ${name}: ${message}`, {
      ...(cause === undefined ? {} : { cause }),
      context: { component: `plugin ${name}` },
    });
  if (component.length > COMPONENT_BYTES_MAX) {
    throw fail("PLUGIN_INVALID", `it has ${component.length} bytes; ${COMPONENT_BYTES_MAX} are taken.`);
  }
  const transpiled = await transpile(options);
  if (!transpiled.ok) throw fail(transpiled.code, `${transpiled.message}.`);
  const modules = new Map<string, WebAssembly.Module>();
  let memories = 0;
  try {
    if (transpiled.modules.length > MODULES_MAX)
      throw new Error(`it has more than ${MODULES_MAX} core modules`);
    const memoryPagesMax = (memoryMb * 2 ** 20) / PAGE_BYTES;
    for (const [file, bytes] of transpiled.modules) {
      const limited = limitModule(bytes, { memoryPagesMax, tableEntriesMax: TABLE_ENTRIES_MAX });
      memories += limited.memories;
      modules.set(file, await WebAssembly.compile(limited.bytes));
    }
    if (memories > 1) throw new Error(`it has ${memories} memories, of which one is allowed`);
  } catch (cause) {
    const code = cause instanceof TardigradeError ? cause.code : "PLUGIN_INVALID";
    throw fail(code, (cause as Error).message, cause);
  }
  const runner = new Runner({ ...options, fail, script: transpiled.script, modules });
  try {
    await runner.start();
  } catch (error) {
    await runner.close();
    // What is a failure of one message later is a wrong file now.
    const { code, message } = error as TardigradeError;
    throw new TardigradeError(code === "PLUGIN_MEMORY" ? code : "PLUGIN_INVALID", message, { cause: error });
  }
  return runner;
}

interface RunnerOptions extends PluginOptions {
  readonly fail: (code: ErrorCode, message: string, cause?: unknown) => TardigradeError;
  readonly script: string;
  readonly modules: ReadonlyMap<string, WebAssembly.Module>;
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  /** What it says next: ready, or the answer to a call. */
  next: PromiseWithResolvers<ThreadMessage>;
  isReady: boolean;
}

class Runner implements PluginRunner {
  readonly #options: RunnerOptions;
  #thread: Thread | undefined;
  #ending: Promise<unknown> = Promise.resolve();
  #isBusy = false;
  #isClosed = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** A thread that waits for a call. Rejects as a call does. */
  async start(): Promise<Thread> {
    const { fail } = this.#options;
    // Two threads of one plugin never run at a time.
    await this.#ending;
    if (this.#isClosed) throw fail("PLUGIN_TRAP", "it is closed.");
    this.#thread ??= this.#launch();
    const thread = this.#thread;
    if (thread.isReady) return thread;
    const said = await this.#said(thread, START_MS);
    if (said.type === "ready") {
      thread.isReady = true;
      return thread;
    }
    this.#end(thread);
    throw said.type === "unfit" || said.type === "failure"
      ? fail(said.code, `${said.message}.`)
      : fail("PLUGIN_TRAP", "it answered what nobody asked.");
  }

  async call(call: PluginCall): Promise<unknown> {
    if (this.#isBusy) throw this.#options.fail("QUEUE_FULL", "it takes one call at a time.");
    this.#isBusy = true;
    try {
      return await this.#answer(call);
    } finally {
      this.#isBusy = false;
    }
  }

  async #answer(call: PluginCall): Promise<unknown> {
    const { fail, timeMs } = this.#options;
    const thread = await this.start();
    // A view of a large buffer would be copied with all of it.
    const own = call.kind === "decode" ? { ...call, payload: new Uint8Array(call.payload) } : call;
    thread.next = nextMessage();
    thread.port.postMessage(own satisfies PluginCall);
    const said = await this.#said(thread, timeMs);
    if (said.type === "answer") return said.answer;
    if (said.type !== "failure") throw fail("PLUGIN_TRAP", "it answered what nobody asked.");
    if (said.isOver && this.#thread === thread) thread.isReady = false;
    throw fail(said.code, `${said.message}.`);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#thread !== undefined) this.#end(this.#thread);
    await this.#ending;
  }

  /** What the thread says within a time; past it, it is ended. */
  async #said(thread: Thread, limitMs: number): Promise<ThreadMessage> {
    const { clock, fail } = this.#options;
    const stop = clock.alarm(limitMs, () => {
      // Where this loop was busy, the answer may be here already.
      const waiting = receiveMessageOnPort(thread.port) as { readonly message: ThreadMessage } | undefined;
      if (waiting !== undefined) return thread.next.resolve(waiting.message);
      thread.next.reject(fail("PLUGIN_TIMEOUT", `it took longer than ${limitMs} ms and was ended.`));
      this.#end(thread);
    });
    try {
      const message = await thread.next.promise;
      thread.next = nextMessage();
      return message;
    } finally {
      stop();
    }
  }

  #launch(): Thread {
    const { script, modules, memoryMb, fail } = this.#options;
    const { port1, port2 } = new MessageChannel();
    const job: ThreadJob = { port: port2, script, modules, memoryBytesMax: memoryMb * 2 ** 20 };
    const worker = new Worker(codeFile("plugin-thread", import.meta.url), {
      ...CONFINED,
      workerData: job,
      transferList: [port2],
      resourceLimits: RESOURCE_LIMITS,
    });
    const thread: Thread = { worker, port: port1, next: nextMessage(), isReady: false };
    port1.on("message", (message: ThreadMessage) => thread.next.resolve(message));
    const broken = (code: ErrorCode, message: string, cause?: unknown): void => {
      thread.next.reject(fail(code, message, cause));
      this.#end(thread);
    };
    worker.on("error", (cause: NodeJS.ErrnoException) => {
      const isMemory = cause.code === "ERR_WORKER_OUT_OF_MEMORY";
      broken(isMemory ? "PLUGIN_MEMORY" : "PLUGIN_TRAP", `its thread ended: ${cause.message}`, cause);
    });
    worker.on("exit", () => broken("PLUGIN_TRAP", "its thread ended."));
    worker.stdout.resume();
    worker.stderr.resume();
    port1.unref();
    worker.unref();
    return thread;
  }

  #end(thread: Thread): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    thread.port.close();
    this.#ending = thread.worker.terminate();
  }
}

/** A thread may end while nobody waits for a word of it; that is no error of anybody's. */
function nextMessage(): PromiseWithResolvers<ThreadMessage> {
  const next = Promise.withResolvers<ThreadMessage>();
  next.promise.catch(() => undefined);
  return next;
}

/** Nothing of the process reaches a thread: no environment, no arguments, no standard streams. */
const CONFINED: WorkerOptions = {
  env: {},
  argv: [],
  execArgv: [],
  stdin: false,
  stdout: true,
  stderr: true,
};

async function transpile({ component, world, clock }: PluginOptions): Promise<Transpiled> {
  const job: TranspileJob = { component, world };
  const done = Promise.withResolvers<Transpiled>();
  const child = fork(fileURLToPath(codeFile("plugin-transpile-process", import.meta.url)), [], {
    env: {},
    execArgv: [`--max-old-space-size=${TRANSPILE_HEAP_MB}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const unfit = (message: string): void => done.resolve({ ok: false, code: "PLUGIN_INVALID", message });
  child.on("message", (said: Transpiled) => done.resolve(said));
  child.on("error", ({ message }) => unfit(`jco could not be run on it: ${message}`));
  child.on("exit", () => unfit("jco ended without a word on it"));
  child.send(job, (error) => error && unfit(`jco could not be given it: ${error.message}`));
  const stop = clock.alarm(TRANSPILE_MS, () => unfit(`jco took longer than ${TRANSPILE_MS} ms`));
  try {
    return await done.promise;
  } finally {
    stop();
    child.kill("SIGKILL");
  }
}
