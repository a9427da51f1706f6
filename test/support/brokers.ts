/** Real MQTT brokers for tests: mosquitto as a process, aedes in this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aedes } from "aedes";

export interface RealBroker {
  readonly port: number;
  close(): Promise<void>;
}

const PATHS = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"];

/** Fails, naming the package, where mosquitto is not installed: nothing is skipped in silence. */
export async function startMosquitto(
  options: { readonly acl?: string; readonly passwords?: string; readonly anonymous?: boolean } = {},
): Promise<RealBroker> {
  const binary = PATHS.find((path) => existsSync(path));
  if (binary === undefined)
    throw new Error("This test needs mosquitto: install the Debian package `mosquitto`.");
  const folder = await mkdtemp(join(tmpdir(), "mosquitto-"));
  const port = await freePort();
  const lines = [
    `listener ${port} 127.0.0.1`,
    `allow_anonymous ${options.anonymous ?? true}`,
    "persistence false",
    "max_queued_messages 0",
    "max_inflight_messages 0",
    "log_type error",
    // As root it would change to its own user, who cannot read the folder.
    ...(process.getuid?.() === 0 ? ["user root"] : []),
  ];
  if (options.acl !== undefined) {
    await writeFile(join(folder, "acl"), options.acl, { mode: 0o600 });
    lines.push(`acl_file ${join(folder, "acl")}`);
  }
  if (options.passwords !== undefined) {
    await writeFile(join(folder, "passwords"), options.passwords, { mode: 0o600 });
    lines.push(`password_file ${join(folder, "passwords")}`);
  }
  await writeFile(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
  const child = spawn(binary, ["-c", join(folder, "mosquitto.conf")], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  await reachable(port, child, () => said);
  return {
    port,
    close: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** aedes as it comes, without our rules: the other side of a forwarder. */
export async function startAedes(): Promise<RealBroker> {
  const aedes = await Aedes.createBroker({ concurrency: 0 });
  const server = createServer((socket) => aedes.handle(socket));
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return {
    port,
    close: async () => {
      await new Promise<void>((resolve) => aedes.close(resolve));
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function reachable(port: number, child: ChildProcess, said: () => string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}: ${said()}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`mosquitto does not answer: ${said()}`);
}
