/**
 * Holds what a plugin answered to what the gateway takes. A plugin is somebody else's code, so its answer is as trustworthy as a payload
 * from the network: every name, number, count and size is looked at, and one thing wrong refuses the whole answer with PLUGIN_OUTPUT.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { Value } from "../../../protocols/messages.generated.ts";
import { LIMITS } from "../../../protocols/table.ts";
import { topicMatcher } from "../../io/mqtt-match.ts";
import { problemOf } from "../shadows.ts";
import { type Decoded, type DecodedReading, deviceIdOf, type Publish } from "./decoder.ts";

export const DEVICE_CHARS_MAX = 64;
export const TOPIC_CHARS_MAX = 256;
export const PUBLISH_BYTES_MAX = 16_384;

const METRIC = /^[a-z0-9][a-z0-9-]*$/;
const UNIT = /^[!-~]*$/;
const PRINTABLE = /^[^\p{Cc}\p{Cs}]+$/u;

type Fields = Readonly<Record<string, unknown>>;

/** What `decode` answered; undefined when the message is none of the plugin's. Throws PLUGIN_OUTPUT. */
export function decodedOf(answer: unknown, family: string): Decoded | undefined {
  if (answer === undefined || answer === null) return undefined;
  const { device: name, version, readings, states, presence } = fieldsOf(answer, "answer");
  if (!isText(name, DEVICE_CHARS_MAX)) throw wrong("its device has no name that can be shown", name);
  const device = pluginDeviceId(family, name);
  if (device === "") throw wrong("its device's name has no letter or digit", name);
  if (
    version !== undefined &&
    !(isText(version, LIMITS.NAME_BYTES_MAX) && bytesOf(version) <= LIMITS.NAME_BYTES_MAX)
  )
    throw wrong("its version is no short text", version);
  if (presence !== undefined && typeof presence !== "boolean")
    throw wrong("its presence is no boolean", presence);
  return {
    device,
    name,
    board: family,
    app: family,
    readings: listOf(readings, LIMITS.READINGS_MAX, "readings").map(readingOf),
    states: Object.fromEntries(listOf(states, LIMITS.SHADOW_ENTRIES_MAX, "states").map(stateOf)),
    ...(version === undefined ? {} : { version }),
    ...(presence === undefined ? {} : { presence: presence ? "online" : "offline" }),
  };
}

/** What `encode` answered; undefined when the device has no such control. Throws PLUGIN_OUTPUT. */
export function publishOf(answer: unknown, allowed: readonly string[]): Publish | undefined {
  if (answer === undefined || answer === null) return undefined;
  const { topic, payload } = fieldsOf(answer, "answer");
  if (!isText(topic, TOPIC_CHARS_MAX) || /[#+]/.test(topic)) throw wrong("it publishes on no topic", topic);
  if (/^(?:tardi$|tardi\/|\$)/.test(topic)) throw wrong("it publishes where only the gateway may", topic);
  if (!allowed.some((filter) => topicMatcher(filter)(topic)))
    throw wrong("it publishes where `publish` does not let it", topic);
  if (!(payload instanceof Uint8Array)) throw wrong("its payload is no bytes", payload);
  if (payload.length > PUBLISH_BYTES_MAX)
    throw wrong(`it publishes more than ${PUBLISH_BYTES_MAX} bytes`, payload.length);
  return { topic, payload };
}

/** Always below the plugin's own family, so that it speaks for no device of another: `tas` makes no `tasmota-plug`. */
export function pluginDeviceId(family: string, name: string): string {
  const id = deviceIdOf(family, name);
  return id === "" || id.startsWith(`${family}-`) ? id : deviceIdOf(family, `${family}-${name}`);
}

function readingOf(item: unknown): DecodedReading {
  const { metric, unit, value } = fieldsOf(item, "reading");
  if (!isText(metric, LIMITS.METRIC_NAME_BYTES_MAX) || !METRIC.test(metric))
    throw wrong("a metric's name is not of lower case letters, digits and hyphens", metric);
  if (typeof unit !== "string" || unit.length > LIMITS.UNIT_BYTES_MAX || !UNIT.test(unit))
    throw wrong("a unit is no UCUM", unit);
  if (typeof value !== "number" || !Number.isFinite(value))
    throw wrong(`the value of ${metric} is no number`, value);
  return { metric, unit, value };
}

function stateOf(item: unknown): [string, Value] {
  const { key, value } = fieldsOf(item, "state");
  const { val } = fieldsOf(value, "state's value");
  if (
    typeof key !== "string" ||
    (typeof val !== "boolean" && typeof val !== "number" && typeof val !== "string")
  )
    throw wrong("a state is no key and value", key);
  const problem = problemOf(key, val);
  if (problem !== undefined || (typeof val === "string" && !val.isWellFormed()))
    throw wrong("a state is none that a shadow takes", key);
  return [key, val];
}

function listOf(list: unknown, countMax: number, what: string): readonly unknown[] {
  if (!Array.isArray(list)) throw wrong(`its ${what} are no list`, list);
  if (list.length > countMax) throw wrong(`it has more than ${countMax} ${what}`, list.length);
  return list;
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null) throw wrong(`its ${what} is no record`, value);
  return value as Fields;
}

function isText(value: unknown, charsMax: number): value is string {
  return (
    typeof value === "string" && value.length <= charsMax && value.isWellFormed() && PRINTABLE.test(value)
  );
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function wrong(what: string, given: unknown): TardigradeError {
  const shown = typeof given === "string" ? JSON.stringify(given.slice(0, 40)) : String(given).slice(0, 40);
  return new TardigradeError("PLUGIN_OUTPUT", `${what} (${shown})`);
}
