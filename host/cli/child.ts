/** Starts this very command line program again with other arguments, and reads what it says in JSON lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export interface Child {
  readonly process: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  send(line: string): void;
}

/** Lines that are no JSON objects are not for us. */
export function startChild(args: readonly string[], onLine: (value: Record<string, unknown>) => void): Child {
  const child = spawn(process.execPath, [process.argv[1] as string, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? code ?? 0));
    child.once("error", () => resolve(1));
  });
  // A write to a child that has just ended is not worth more than its exit.
  child.stdin?.on("error", () => {});
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const value = parse(line);
    if (value) onLine(value);
  });
  return {
    process: child,
    exited,
    send: (line) => {
      if (child.exitCode === null) child.stdin?.write(`${line}\n`);
    },
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export interface Usage {
  readonly rssBytes: number;
  /** Seconds of processor time since the process began. */
  readonly cpuS: number;
}

const TICKS_A_SECOND = 100;
const PAGE_BYTES = 4096;

/** From /proc; undefined where there is none, or the process is gone. */
export function usageOf(pid: number | undefined): Usage | undefined {
  if (pid === undefined) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const cpuS = (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
    return { rssBytes: Number(fields[21]) * PAGE_BYTES, cpuS };
  } catch {
    return undefined;
  }
}
