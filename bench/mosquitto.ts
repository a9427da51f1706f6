/** mosquitto in a process of its own, with nothing that would slow it: no persistence, no bound on what is in flight. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";
import { Child } from "./child.ts";
import { freePort } from "./free-port.ts";

const PATHS = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"];
const ATTEMPTS_MAX = 500;
const ATTEMPT_MS = 10;

/** Throws where it is not installed, naming the package: a comparison left out in silence would be none. */
export function mosquittoBinary(paths: readonly string[] = PATHS): string {
  const binary = paths.find((path) => existsSync(path));
  if (binary !== undefined) return binary;
  throw new Error(
    "The suite ingest compares with mosquitto, which is not installed: `apt-get install mosquitto`, then run it again.",
  );
}

export function mosquittoVersion(binary: string): string {
  let said: string;
  try {
    said = execFileSync(binary, ["-h"], { encoding: "utf8" });
  } catch (error) {
    // It prints its help and ends with 3.
    said = String((error as { stdout?: unknown }).stdout ?? "");
  }
  return /version (\S+)/.exec(said)?.[1] ?? "unknown";
}

export async function startMosquitto(
  folder: string,
  binary: string,
): Promise<{ readonly child: Child; readonly port: number }> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence false",
    "max_queued_messages 0",
    "max_inflight_messages 0",
    "set_tcp_nodelay true",
    "log_type error",
    // As root it would change to its own user, who cannot read the folder.
    ...(process.getuid?.() === 0 ? ["user root"] : []),
  ];
  const config = join(folder, "mosquitto.conf");
  writeFileSync(config, `${lines.join("\n")}\n`);
  const child = new Child("mosquitto", binary, ["-c", config], folder);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (await answers(port)) return { child, port };
    await new Promise<void>((resolve) => systemClock().alarm(ATTEMPT_MS, resolve));
  }
  await child.stop();
  throw new Error("mosquitto was started and does not answer; try its configuration by hand.");
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
