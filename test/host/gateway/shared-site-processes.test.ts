/**
 * Two gateways, three nodes of the store and mosquitto, each a process; real devices' sessions over MQTT. One gateway is killed with -9, and comes back. Real time:
 * what is asserted is where each message is stored in the end.
 */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DeviceSummary, GatewayInfo, HistoryPoint } from "../../../host/gateway/service.ts";
import { type RealBroker, startMosquitto } from "../../support/brokers.ts";
import { NodeProcesses } from "../../support/cluster/node-processes.ts";
import { connectDevice, type MqttDevice } from "../../support/mqtt-device.ts";
import { ended, freePort, running } from "../../support/processes.ts";
import { until } from "../../support/until.ts";

const SITE = "lab";
const DEVICES = Array.from({ length: 12 }, (_, number) => `device-${number}`);
const GATEWAYS = ["attic", "barn"] as const;

let folder: string;
let broker: RealBroker;
let nodes: NodeProcesses;
const ports = new Map<string, number>();
const children = new Map<string, ChildProcess>();
const devices: MqttDevice[] = [];

async function start(gateway: string): Promise<void> {
  const httpPort = ports.get(gateway) ?? (await freePort());
  ports.set(gateway, httpPort);
  const file = join(folder, `${gateway}.yaml`);
  const config = {
    ...{ site: SITE, data: join(folder, gateway), http: { port: httpPort }, log: { level: "error" } },
    mqtt: { mode: "external", url: `mqtt://127.0.0.1:${broker.port}` },
    cluster: { endpoints: nodes.endpoints, gateway, leaseSeconds: 3 },
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config));
  const child = await running(["gateway", "run", "--config", file, "--announce"], /"ready"/, folder);
  children.set(gateway, child);
}

async function ask<T>(gateway: string, path: string): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${ports.get(gateway)}${path}`);
  return (await answer.json()) as T;
}

/** Devices that a gateway hears and serves. */
async function served(gateway: string): Promise<readonly string[]> {
  const { devices: all } = await ask<{ readonly devices: readonly DeviceSummary[] }>(gateway, "/api/devices");
  return all
    .filter(({ state, servedBy }) => state === "online" && servedBy === undefined)
    .map(({ id }) => id);
}

/** As firmware does: a device that gets no answer greets again. */
function greet(): void {
  for (const { model } of devices) if (model.held > 0 || !model.open) model.hello();
}

async function untilServed(
  what: string,
  holds: (shares: readonly (readonly string[])[]) => boolean,
  by: readonly string[],
) {
  const endMs = performance.now() + 40_000;
  for (;;) {
    greet();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const shares = await Promise.all(by.map(served));
    if (holds(shares)) return;
    if (performance.now() > endMs)
      throw new Error(`It did not come to this: ${what}: ${JSON.stringify(shares)}`);
  }
}

function say(value: number): void {
  for (const { model } of devices) model.telemetry([value]);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tardi-shared-"));
  [broker, nodes] = await Promise.all([startMosquitto(), NodeProcesses.open()]);
  await Promise.all(GATEWAYS.map(start));
}, 120_000);
afterAll(async () => {
  for (const device of devices) await device.close();
  for (const child of children.values()) {
    child.kill("SIGTERM");
    await ended(child);
  }
  await nodes?.close();
  await broker?.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

test("each device is served by one; a gateway's death and return lose nothing", async () => {
  for (const id of DEVICES) devices.push(await connectDevice({ port: broker.port, site: SITE, id }));
  const isWhole = (shares: readonly (readonly string[])[]): boolean =>
    shares.every((share) => share.length > 0) && shares.flat().sort().join() === [...DEVICES].sort().join();
  await untilServed("both gateways serve all, each its own", isWhole, GATEWAYS);
  say(1);
  await until("all of it is acknowledged", () => devices.every(({ model }) => model.held === 0));

  say(2);
  const barn = children.get("barn") as ChildProcess;
  barn.kill("SIGKILL");
  await ended(barn);
  say(3);
  await untilServed("one serves all", ([share]) => share?.length === DEVICES.length, ["attic"]);
  await until("what was said meanwhile is acknowledged", () =>
    devices.every(({ model }) => model.held === 0),
  );

  await start("barn");
  await untilServed("both have their shares again", isWhole, GATEWAYS);
  say(4);
  await until("what came last is acknowledged", () => devices.every(({ model }) => model.held === 0));
  const { shared } = await ask<GatewayInfo>("attic", "/api/info");
  expect(shared).toEqual({ gateway: "attic", gateways: ["attic", "barn"], isSettled: true });

  for (const id of DEVICES) {
    const [here, there] = await Promise.all(
      GATEWAYS.map(async (gateway) => {
        const path = `/api/devices/${id}/telemetry?metric=temperature&resolution=raw&limit=100`;
        const { points = [] } = await ask<{ readonly points?: readonly HistoryPoint[] }>(gateway, path);
        return points.map(({ value }) => value);
      }),
    );
    const stored = [...(here ?? []), ...(there ?? [])];
    expect({ id, stored: [...new Set(stored)].sort() }).toEqual({ id, stored: [1, 2, 3, 4] });
    // What was stored and not yet acknowledged when its gateway died is sent to the next, too: only that.
    expect(stored.filter((value) => value === 1 || value === 4)).toHaveLength(2);
  }
}, 120_000);
