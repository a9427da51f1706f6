/**
 * Topics, as users know them: `tardi/<site>/<device>` (retained JSON state) with channels below it, and
 * `tardi/<site>/bridge/...` for the gateway itself. `bridge` is no device name.
 */
import { TardigradeError } from "./error.ts";

export const TOPIC_ROOT = "tardi";
export const BRIDGE = "bridge";

/** Channels below a device's topic. `up` and `down` carry CBOR messages, the others JSON or a word. */
export const CHANNELS = ["set", "get", "availability", "up", "down", "telemetry"] as const;
export type Channel = (typeof CHANNELS)[number];

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;

export function isSite(name: string): boolean {
  return NAME.test(name);
}

export function isDeviceId(name: string): boolean {
  return NAME.test(name) && name !== BRIDGE;
}

/** Throws DEVICE_ID_INVALID. */
export function checkDeviceId(name: string): string {
  if (isDeviceId(name)) return name;
  throw new TardigradeError(
    "DEVICE_ID_INVALID",
    `"${name.slice(0, 40)}" is no device id: use 1 to 31 of a-z, 0-9 and -, not first a -, and not "${BRIDGE}".`,
  );
}

export interface DeviceTopic {
  readonly site: string;
  readonly device: string;
  /** Absent for the device's state topic itself. */
  readonly channel?: Channel;
}

export function stateTopic(site: string, device: string): string {
  return `${TOPIC_ROOT}/${site}/${device}`;
}

export function deviceTopic(site: string, device: string, channel: Channel): string {
  return `${TOPIC_ROOT}/${site}/${device}/${channel}`;
}

export function bridgeTopic(site: string, path: string): string {
  return `${TOPIC_ROOT}/${site}/${BRIDGE}/${path}`;
}

/** Undefined for anything that is not a device's topic, the bridge's included. */
export function parseDeviceTopic(topic: string): DeviceTopic | undefined {
  const [root, site, device, channel, ...rest] = topic.split("/", 6);
  if (root !== TOPIC_ROOT || site === undefined || device === undefined || rest.length > 0) return undefined;
  if (!isSite(site) || !isDeviceId(device)) return undefined;
  if (channel === undefined) return { site, device };
  return (CHANNELS as readonly string[]).includes(channel)
    ? { site, device, channel: channel as Channel }
    : undefined;
}
