/** The compilers of other people that the native toolchain runs, and what to do when one is missing. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { TardigradeError } from "../../../protocols/error.ts";

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

export interface CrossTools {
  /** Prefix of every tool, such as arm-none-eabi-. */
  readonly prefix: string;
  /** First line of `gcc --version`: another compiler makes other bytes. */
  readonly version: string;
}

const ARM_PREFIX = "arm-none-eabi-";
const ARM_HELP =
  "install it: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi (Debian, Ubuntu), brew install --cask gcc-arm-embedded (macOS), or Arm's GNU toolchain from its site; it must be on the PATH.";

/** Rejects with DEPENDENCY_MISSING that names the packages. */
export async function armTools(): Promise<CrossTools> {
  const version = await versionOf(`${ARM_PREFIX}gcc`);
  if (version === undefined) {
    throw new TardigradeError("DEPENDENCY_MISSING", `There is no ${ARM_PREFIX}gcc here; ${ARM_HELP}`, {
      context: { component: "toolchain" },
    });
  }
  return { prefix: ARM_PREFIX, version };
}

/** The C compiler of this machine, for ports that are programs of it. */
export async function hostTools(): Promise<CrossTools> {
  const version = await versionOf("gcc");
  if (version === undefined) {
    throw new TardigradeError(
      "DEPENDENCY_MISSING",
      "There is no gcc here; install it: apt-get install gcc libc6-dev (Debian, Ubuntu).",
      { context: { component: "toolchain" } },
    );
  }
  return { prefix: "", version };
}

async function versionOf(gcc: string): Promise<string | undefined> {
  try {
    return (await run(gcc, ["--version"], ".")).stdout.split("\n", 1)[0];
  } catch {
    return undefined;
  }
}

/** Runs to the end. Rejects with BUILD_FAILED and what the tool said. */
export function run(command: string, args: readonly string[], cwd: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // Messages in one language, and nothing of the day in what is made.
      env: { ...process.env, LC_ALL: "C", SOURCE_DATE_EPOCH: "0" },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve({ stdout, stderr });
      else
        reject(
          new TardigradeError("BUILD_FAILED", `${command} failed:\n${stderr.trim().slice(0, 4000)}`, {
            context: { component: "toolchain", exitCode: code ?? -1 },
          }),
        );
    });
  });
}

/** wabt's wasm2c, pinned by the lockfile. Writes NAME.c and NAME.h beside the module. */
export async function wasm2c(wasmFile: string, module: string, cwd: string): Promise<void> {
  const script = createRequire(import.meta.url).resolve("wabt/bin/wasm2c");
  await run(process.execPath, [script, wasmFile, "-n", module, "-o", `${module}.c`], cwd);
}
