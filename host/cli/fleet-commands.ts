/** Commands that ask a running gateway: devices, monitor, command, shadow. */

import { TardigradeError } from "../../protocols/error.ts";
import type { Value } from "../../protocols/messages.generated.ts";
import { checkDeviceId } from "../../protocols/topic.ts";
import type { CommandView, DeviceSummary, ShadowView } from "../gateway/service.ts";
import { systemClock } from "../io/clock.ts";
import { BridgeClient, type BridgeOptions } from "./bridge-client.ts";
import { LiveTable } from "./live-table.ts";
import { age, dim, green, print, printJson, red, table } from "./output.ts";

export interface FleetOptions extends BridgeOptions {
  readonly json?: boolean;
}

async function withBridge<T>(options: FleetOptions, work: (bridge: BridgeClient) => Promise<T>): Promise<T> {
  const bridge = await BridgeClient.open(options);
  try {
    return await work(bridge);
  } finally {
    await bridge.close();
  }
}

export async function devicesCommand(options: FleetOptions): Promise<void> {
  const devices = (await withBridge(options, (bridge) =>
    bridge.request("devices"),
  )) as readonly DeviceSummary[];
  if (options.json) return printJson(devices);
  if (devices.length === 0) {
    return print(
      `No device has said hello at site ${options.site}. Point one at ${options.url}, or try \`tardi start\`.`,
    );
  }
  const nowMs = systemClock().wallMs();
  const rows = devices.map((device) => [
    device.id,
    device.state === "online" ? green("online") : red(device.state),
    device.board,
    `${device.app} ${device.version}`,
    `${age(nowMs - device.lastSeenMs)} ago`,
    device.counts.readings,
    device.counts.dropped,
    device.counts.errors,
  ]);
  print(table(["device", "state", "board", "app", "seen", "readings", "dropped", "errors"], rows));
}

/** Until Ctrl-C, or for `seconds`. */
export async function monitorCommand(options: FleetOptions & { readonly for?: number }): Promise<void> {
  const bridge = await BridgeClient.open(options, true);
  const live = new LiveTable(bridge.client, options.site);
  const clock = systemClock();
  const draws = process.stdout.isTTY && !options.json;
  await live.open(draws ? () => `${options.url}   Ctrl-C ends` : undefined);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
    if (options.for !== undefined) clock.alarm(options.for * 1000, resolve);
    else if (!draws) clock.alarm(2_000, resolve);
  });
  await live.close();
  if (options.json) printJson(Object.fromEntries(live.devices));
  else if (!draws) print(`${live.summary()}\n${live.render(Number.MAX_SAFE_INTEGER)}`);
  await bridge.close();
}

/** `name=value` pairs: true and false are booleans, what looks like a number is one, null (shadow only) removes. */
export function parsePairs(pairs: readonly string[], nullable: boolean): Record<string, Value | null> {
  const values: Record<string, Value | null> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1)
      throw new TardigradeError("REQUEST_INVALID", `"${pair}" is not name=value, for example fanOnC=27.5.`);
    const text = pair.slice(at + 1);
    values[pair.slice(0, at)] = parseValue(text, nullable);
  }
  return values;
}

function parseValue(text: string, nullable: boolean): Value | null {
  if (text === "true" || text === "false") return text === "true";
  if (text === "null" && nullable) return null;
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

export async function commandCommand(
  device: string,
  name: string,
  pairs: readonly string[],
  options: FleetOptions & { readonly timeout?: number },
): Promise<void> {
  checkDeviceId(device);
  const timeoutMs = (options.timeout ?? 10) * 1000;
  const request = { device, name, args: parsePairs(pairs, false), timeoutMs };
  const view = (await withBridge(options, (bridge) =>
    bridge.request("command", request, timeoutMs + 5_000),
  )) as CommandView;
  if (options.json) return printJson(view);
  const took = view.endedMs === undefined ? "" : dim(` after ${Math.round(view.endedMs - view.sentMs)} ms`);
  print(`${device} answered ${name}${view.result === undefined ? "" : `: ${view.result}`}${took}`);
}

export async function shadowGetCommand(device: string, options: FleetOptions): Promise<void> {
  checkDeviceId(device);
  printShadow(
    (await withBridge(options, (bridge) => bridge.request("shadow/get", { device }))) as ShadowView,
    options,
  );
}

export async function shadowSetCommand(
  device: string,
  pairs: readonly string[],
  options: FleetOptions,
): Promise<void> {
  checkDeviceId(device);
  const desired = parsePairs(pairs, true);
  printShadow(
    (await withBridge(options, (bridge) => bridge.request("shadow/set", { device, desired }))) as ShadowView,
    options,
  );
}

function printShadow(shadow: ShadowView, options: FleetOptions): void {
  if (options.json) return printJson(shadow);
  const keys = [...new Set([...Object.keys(shadow.desired), ...Object.keys(shadow.reported)])].sort();
  const show = (value: Value | undefined) => (value === undefined ? dim("–") : String(value));
  const rows = keys.map((key) => [
    key,
    show(shadow.desired[key]),
    show(shadow.reported[key]),
    key in shadow.delta ? red("differs") : green("in step"),
  ]);
  print(`${shadow.device}  desired version ${shadow.version}, reported ${shadow.reportedVersion}`);
  print(
    rows.length === 0
      ? "Nothing is desired or reported yet."
      : table(["key", "desired", "reported", ""], rows),
  );
}
