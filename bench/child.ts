/** Processes of a measurement: each side has its own, and they talk in JSON lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Usage, usageOf } from "../host/cli/child.ts";
import { systemClock } from "../host/io/clock.ts";

const STOP_MS = 20_000;
const ANSWER_MS = 180_000;
const STDERR_CHARS_MAX = 4000;
const LINES_MAX = 1000;

export type Line = Readonly<Record<string, unknown>>;

export const ROOT = join(import.meta.dirname, "..");

export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #lines: Line[] = [];
  readonly #exited: Promise<void>;
  #wake: () => void = () => {};
  #said = "";
  #ended = false;
  #stopped = false;

  constructor(name: string, command: string, args: readonly string[], cwd: string = ROOT) {
    this.#name = name;
    this.#process = spawn(command, args, { cwd, stdio: ["pipe", "pipe", "pipe"] });
    this.#process.stdin?.on("error", () => {
      // It has ended; `next` says so.
    });
    this.#process.stderr?.on("data", (bytes: Buffer) => {
      this.#said = (this.#said + bytes.toString()).slice(-STDERR_CHARS_MAX);
    });
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        this.#wake();
        resolve();
      };
      this.#process.once("exit", end);
      this.#process.once("error", end);
    });
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on("line", (text) => {
      const line = parse(text);
      if (line === undefined) return;
      this.#lines.push(line);
      if (this.#lines.length > LINES_MAX) this.#lines.shift();
      this.#wake();
    });
  }

  /** A program of this repository, run from its source. */
  static node(name: string, args: readonly string[], cwd?: string): Child {
    return new Child(name, process.execPath, args, cwd);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What to say of a process that ended before it was stopped; undefined while it runs. */
  get obituary(): string | undefined {
    if (!this.#ended || this.#stopped) return undefined;
    const { exitCode, signalCode } = this.#process;
    return this.#failure(`ended by itself (${signalCode ?? exitCode})`).message;
  }

  /** Zeros when it has ended. */
  usage(): Usage {
    return usageOf(this.#process.pid) ?? { rssBytes: 0, cpuS: 0 };
  }

  send(line: Line | string): void {
    const text = typeof line === "string" ? line : JSON.stringify(line);
    if (!this.#ended) this.#process.stdin?.write(`${text}\n`);
  }

  /** The next line of that type; those before it are dropped. Rejects when the process ends or nothing comes. */
  async next(type: string, timeoutMs: number = ANSWER_MS): Promise<Line> {
    let late = false;
    const cancel = systemClock().alarm(timeoutMs, () => {
      late = true;
      this.#wake();
    });
    try {
      for (;;) {
        for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
          if (line.type === type) return line;
          if (line.type === "failed") throw this.#failure(`failed: ${line.message}`);
        }
        if (this.#ended || late) throw this.#failure(late ? `did not say "${type}" in time` : "ended");
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      cancel();
    }
  }

  /** SIGKILL: nothing is said to anybody. */
  async kill(): Promise<void> {
    this.#stopped = true;
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  /** SIGTERM, and SIGKILL for who does not heed it. */
  async stop(): Promise<void> {
    this.#stopped ||= !this.#ended;
    if (!this.#ended) this.#process.kill("SIGTERM");
    const cancel = systemClock().alarm(STOP_MS, () => this.#process.kill("SIGKILL"));
    await this.#exited;
    cancel();
  }

  #failure(what: string): Error {
    return new Error(`The process "${this.#name}" ${what}. Its last words: ${this.#said || "none"}`);
  }
}

function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}
