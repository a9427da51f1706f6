/** `tardi doctor`: what on this machine could keep a gateway or a build from working, and what to do about it. */
import { existsSync } from "node:fs";
import { access, constants, mkdir, open, rm, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { systemClock } from "../io/clock.ts";
import type { Config } from "./config.ts";
import { green, print, printJson, red, table, yellow } from "./output.ts";

export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "failed";
  readonly detail: string;
  /** What to do; empty when nothing. */
  readonly advice: string;
}

const NODE_MIN = [22, 18] as const;
const FREE_MB_MIN = 512;
const SYNC_TRIES = 20;
const SYNC_SLOW_MS = 50;

const finding = (check: string, state: Finding["state"], detail: string, advice = ""): Finding => ({
  check,
  state,
  detail,
  advice,
});

/** Exit code: 1 when a check failed. */
export async function doctorCommand(config: Config, source: string, json: boolean): Promise<number> {
  const findings = [
    checkNode(),
    finding("configuration", "ok", source),
    await checkPort("MQTT port", config.mqtt.host, config.mqtt.port),
    await checkPort("HTTP port", config.http.host, config.http.port),
    ...(await checkData(config.data)),
    await checkModule(
      "lmdb",
      "the state store on disk",
      "warning",
      "npm install lmdb, or set `store.state: memory` (state is then rebuilt from the log at each start).",
    ),
    ...(await checkSerial(config.serial)),
    await checkModule("assemblyscript", "building firmware", "failed", "npm install assemblyscript"),
  ];
  if (json) printJson(findings);
  else {
    const mark = { ok: green("ok"), warning: yellow("warning"), failed: red("failed") };
    print(
      table(
        ["check", "", "found", "what to do"],
        findings.map((row) => [row.check, mark[row.state], row.detail, row.advice]),
      ),
    );
  }
  return findings.some((row) => row.state === "failed") ? 1 : 0;
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  return finding(
    "Node",
    enough ? "ok" : "failed",
    `v${process.versions.node}`,
    enough ? "" : `Install Node ${NODE_MIN.join(".")} or later.`,
  );
}

function checkPort(check: string, host: string, port: number): Promise<Finding> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      resolve(
        finding(
          check,
          "failed",
          `${host}:${port} ${taken ? "is taken" : error.message}`,
          taken
            ? "Stop the other process (it may be this gateway), or set another port."
            : "Choose an address of this machine.",
        ),
      );
    });
    server.listen(port, host, () =>
      server.close(() => resolve(finding(check, "ok", `${host}:${port} is free`))),
    );
  });
}

async function checkData(data: string): Promise<readonly Finding[]> {
  const existed = existsSync(data);
  const probe = join(data, ".doctor");
  try {
    await mkdir(data, { recursive: true });
    const { bavail, bsize } = await statfs(data);
    const freeMb = Math.round((bavail * bsize) / 2 ** 20);
    const file = await open(probe, "w");
    const clock = systemClock();
    const times: number[] = [];
    for (let round = 0; round < SYNC_TRIES; round += 1) {
      const from = clock.monotonicMs();
      await file.write("x");
      await file.datasync();
      times.push(clock.monotonicMs() - from);
    }
    await file.close();
    const median = times.sort((a, b) => a - b)[SYNC_TRIES / 2] as number;
    const slow = median > SYNC_SLOW_MS;
    return [
      finding("data folder", "ok", `${data} can be written`),
      finding(
        "free space",
        freeMb < FREE_MB_MIN ? "warning" : "ok",
        `${freeMb} MB`,
        freeMb < FREE_MB_MIN ? "Free space, or lower store.retentionMb." : "",
      ),
      finding(
        "disk sync",
        slow ? "warning" : "ok",
        `${median.toFixed(1)} ms a sync`,
        slow ? "Acknowledgements wait for this; a faster disk helps." : "",
      ),
    ];
  } catch (error) {
    return [
      finding(
        "data folder",
        "failed",
        (error as Error).message,
        "Choose a folder that this user may write, with `data:`.",
      ),
    ];
  } finally {
    await rm(existed ? probe : data, { recursive: true, force: true });
  }
}

/** A port that is absent may be plugged in later; one without rights stays useless. */
async function checkSerial(links: Config["serial"]): Promise<readonly Finding[]> {
  if (links.length === 0) return [];
  const ports = await Promise.all(
    links.map(async ({ port, device }) => {
      const check = `port of ${device}`;
      // Whether a device server answers is seen when the gateway connects, and may change any time.
      if (port.startsWith("tcp://")) return finding(check, "ok", `${port}, connected when the gateway runs`);
      const code = await access(port, constants.R_OK | constants.W_OK).then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error.code,
      );
      if (code === undefined) return finding(check, "ok", `${port} can be opened`);
      if (code === "ENOENT")
        return finding(check, "warning", `${port} is not there`, "Plug it in; `tardi ports` lists what is.");
      return finding(
        check,
        "failed",
        `${port}: ${code}`,
        "Add the user to the port's group (dialout or uucp).",
      );
    }),
  );
  const module = await checkModule("serialport", "serial links", "failed", "npm install serialport");
  return [module, ...ports];
}

async function checkModule(
  name: string,
  purpose: string,
  state: "warning" | "failed",
  advice: string,
): Promise<Finding> {
  try {
    import.meta.resolve(name);
    await import(name);
    return finding(name, "ok", `for ${purpose}`);
  } catch {
    return finding(name, state, `missing, needed for ${purpose}`, advice);
  }
}
