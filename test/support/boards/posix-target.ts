/** The posix port: a process, its pseudo-terminal opened as a gateway opens a serial port, its pins read from its state folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { SerialPort } from "serialport";
import { boardNamed } from "../../../boards/definitions/definition.ts";
import { buildProgram } from "../../../boards/toolchain/native/program.ts";
import { builtApp } from "../board-rig.ts";
import type { TargetBoard, TargetOptions } from "./target.ts";

const STEP_MS = 2;
/** Of the wall: how fast two processes get on is the machine's matter. */
const PATIENCE_MS = 60_000;
const PIN_BYTES = 4;

const programs = new Map<string, Promise<string>>();

export async function posixTarget(
  options: TargetOptions & { readonly timeScale?: number },
): Promise<TargetBoard> {
  const definition = boardNamed("posix");
  if (definition.kind !== "hosted") throw new Error("posix is no hosted board");
  const scale = options.timeScale ?? 1;
  const program = await (programs.get(options.app) ??
    builtApp(options.app).then((app) => buildProgram(definition, app)));
  programs.set(options.app, Promise.resolve(program));
  const state = await mkdtemp(join(tmpdir(), "tardigrade-posix-"));
  for (const [channel, words] of (options.series ?? []).entries())
    await writeFile(join(state, `adc-${channel}.bin`), Uint16Array.from(words));
  let child: ChildProcess | undefined;
  let port: SerialPort | undefined;
  const startedMs = performance.now();

  const closePort = async (): Promise<void> => {
    const closing = port;
    port = undefined;
    if (closing?.isOpen) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  const target: TargetBoard = {
    name: "posix",
    patienceMs: PATIENCE_MS * scale,
    onBytes: () => {},
    write: (bytes) => {
      port?.write(Buffer.from(bytes));
    },
    powerOn: async () => {
      child = spawn(program, ["--state", state, "--time-scale", `${scale}`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
      const path = await new Promise<string>((resolve) => {
        lines.once("line", (line) => resolve((JSON.parse(line) as { link: string }).link));
      });
      const opened = new SerialPort({ path, baudRate: 115_200, autoOpen: false });
      opened.on("data", (bytes: Buffer) => target.onBytes(bytes));
      await new Promise<void>((resolve, reject) => {
        opened.open((error) => (error ? reject(error) : resolve()));
      });
      port = opened;
    },
    powerCut: async () => {
      await closePort();
      const ended = child;
      child = undefined;
      if (ended?.exitCode === null && ended.kill("SIGKILL"))
        await new Promise<void>((resolve) => ended.once("exit", () => resolve()));
    },
    reset: async () => {
      child?.kill("SIGUSR1");
    },
    nowMs: () => (performance.now() - startedMs) * scale,
    run: async (ms, until) => {
      const endMs = target.nowMs() + ms;
      while (target.nowMs() < endMs && !until?.())
        await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    },
    pinLevel: (pin) => readFileSync(join(state, "pins.bin")).readUInt16LE(pin * PIN_BYTES + 2),
    close: async () => {
      await target.powerCut();
      await rm(state, { recursive: true, force: true });
    },
  };
  return target;
}
