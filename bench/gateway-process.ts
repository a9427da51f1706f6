/** The whole gateway as its users run it (`tardi gateway run`): embedded broker, real disk, LMDB, HTTP, in a process of its own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";
import { Child, ROOT } from "./child.ts";
import { freePort } from "./free-port.ts";

export const SITE = "bench";
const SOURCE_CLI = join(ROOT, "host/cli/main.ts");
const POLL_MS = 20;
const SETTLE_MS = 120_000;

export interface GatewayProcess {
  readonly child: Child;
  readonly port: number;
  readonly data: string;
  /** Readings applied to state and history since the start. */
  applied(): Promise<number>;
  /** Resolves with the wall clock's time at which so many were applied. */
  settled(readings: number): Promise<number>;
}

export interface GatewayProcessOptions {
  /** Gets the data and the configuration. */
  readonly folder: string;
  /** The command line program: from source by default, or dist/cli.js. */
  readonly cli?: string;
  /** For node, such as --cpu-prof. */
  readonly nodeArgs?: readonly string[];
  /** Broker that gets everything. */
  readonly forward?: string;
}

export async function startGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { folder, cli = SOURCE_CLI, nodeArgs = [] } = options;
  const port = await freePort();
  const data = join(folder, "gateway");
  const config = join(folder, "tardigrade.yaml");
  const lines = [`site: ${SITE}`, `data: ${JSON.stringify(data)}`, "mqtt:", `  port: ${port}`];
  lines.push("http:", "  port: 0", "log:", "  level: error");
  if (options.forward !== undefined) lines.push("forward:", `  url: ${options.forward}`);
  writeFileSync(config, `${lines.join("\n")}\n`);
  const child = Child.node("gateway", [...nodeArgs, cli, "gateway", "run", "--config", config, "--announce"]);
  const { httpPort } = await child.next("ready").catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  const clock = systemClock();
  const applied = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
    return Number(/^tardigrade_readings_total (\d+)/m.exec(await answer.text())?.[1] ?? 0);
  };
  return {
    child,
    port,
    data,
    applied,
    settled: async (readings) => {
      const endMs = clock.monotonicMs() + SETTLE_MS;
      while (clock.monotonicMs() < endMs) {
        if ((await applied()) >= readings) return clock.wallMs();
        await new Promise<void>((resolve) => clock.alarm(POLL_MS, resolve));
      }
      throw new Error(`The gateway applied ${await applied()} of ${readings} readings in time.`);
    },
  };
}
