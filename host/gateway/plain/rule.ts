/**
 * Rules: a topic with names in it, and what stands at which place of the payload. The built-in families and the rules of
 * tardigrade.yaml are the same kind of data.
 *
 *   topic  tele/{device}/SENSOR       fields  ENERGY.Power        -> metric power, W
 *   topic  stat/{device}/RESULT               *.Temperature       -> metric {1}-temperature, Cel
 *                                             POWER*              -> state power{1}
 *   control  power{1} -> publish ON or OFF on cmnd/{device}/POWER{1}
 *
 * `{device}` names the device, other names in braces capture a level of the topic, `*` in a path captures within one key. What was
 * captured is put where `{name}` or `{1}` stands, lower case, with what is no letter or digit as a hyphen.
 */
import type { Value } from "../../../protocols/messages.generated.ts";
import { LIMITS } from "../../../protocols/table.ts";
import { type Decoded, type DecodedReading, type Decoder, deviceIdOf, type Publish } from "./decoder.ts";

/** Values looked at in one payload, and how deep they may stand. */
export const LEAVES_MAX = 64;
const DEPTH_MAX = 5;
const WORD_CHARS_MAX = 64;

export interface Field {
  /** Path in a JSON payload, keys joined by dots; absent: the payload itself, or what is at no other path. */
  readonly path?: string;
  /** A reading of this name where it is a number; else a state. With both, what is no number is the state. */
  readonly metric?: string;
  readonly unit?: string;
  readonly scale?: number;
  readonly state?: string;
  /** A text that tells the firmware's version. */
  readonly version?: true;
}

export interface Rule {
  /** First part of the device's id, shown as its app. */
  readonly family: string;
  readonly topic: string;
  /** The device's name must begin so: where topics alone do not tell. */
  readonly startsWith?: string;
  /** Names that are no devices, such as `bridge`. */
  readonly except?: readonly string[];
  readonly fields?: readonly Field[];
  /** The payload, or its `state`, says whether the device is there. */
  readonly presence?: { readonly online: Words; readonly offline: Words };
}

/** One word, or all that mean the same; upper or lower case. */
export type Words = string | readonly string[];

export interface Control {
  readonly family: string;
  /** With `{1}` for what varies, as in a field's state. */
  readonly state: string;
  readonly topic: string;
  /** For true and false; else `payload` with `{value}`. */
  readonly on?: string;
  readonly off?: string;
  readonly payload?: string;
}

export interface RuleSet {
  readonly rules: readonly Rule[];
  readonly controls: readonly Control[];
}

const ON = new Set(["on", "true", "online", "open", "1"]);
const OFF = new Set(["off", "false", "offline", "closed", "0"]);

export function ruleDecoder({ rules, controls }: RuleSet): Decoder {
  const compiled = rules.map((rule) => ({ rule, match: topicPattern(rule.topic), fields: fieldsOf(rule) }));
  return {
    filters: [...new Set(rules.map(({ topic }) => filterOf(topic)))],
    decode: (topic, payload) => {
      let found: Decoded | undefined;
      for (const { rule, match, fields } of compiled) {
        const captured = match(topic);
        if (captured === undefined) continue;
        const decoded = apply(rule, fields, captured, payload);
        if (decoded !== undefined) found = found === undefined ? decoded : merged(found, decoded);
      }
      return found;
    },
    encode: (name, state, value) => {
      for (const control of controls) {
        const varies = new RegExp(`^${escaped(control.state).replace("\\{1\\}", "(.*)")}$`).exec(state);
        if (varies === null) continue;
        const publish = publishOf(control, { device: name, "1": varies[1] ?? "" }, value);
        if (publish !== undefined) return publish;
      }
      return undefined;
    },
  };
}

function publishOf(
  control: Control,
  names: Readonly<Record<string, string>>,
  value: Value,
): Publish | undefined {
  const topic = filled(control.topic, names, (text) => text);
  if (control.payload !== undefined && typeof value !== "boolean") {
    return { topic, payload: control.payload.replace("{value}", JSON.stringify(value)) };
  }
  const word = value === true ? control.on : value === false ? control.off : undefined;
  return word === undefined ? undefined : { topic, payload: word };
}

type Captured = Readonly<Record<string, string>>;
interface CompiledField extends Field {
  readonly match: RegExp | undefined;
}

function fieldsOf(rule: Rule): readonly CompiledField[] {
  return (rule.fields ?? []).map((field) => ({
    ...field,
    match:
      field.path === undefined
        ? undefined
        : new RegExp(`^${field.path.split("*").map(escaped).join("([^.]*)")}$`),
  }));
}

function apply(
  rule: Rule,
  fields: readonly CompiledField[],
  captured: Captured,
  payload: Uint8Array,
): Decoded | undefined {
  const name = captured.device ?? "";
  const device = deviceIdOf(rule.family, name);
  if (device === "" || rule.except?.includes(name) === true) return undefined;
  if (rule.startsWith !== undefined && !name.startsWith(rule.startsWith)) return undefined;
  const leaves = leavesOf(payload);
  if (leaves === undefined) return undefined;
  const head = { device, name, board: rule.family, app: rule.family };
  if (rule.presence !== undefined) {
    const word = String(leaves.get("") ?? leaves.get("state") ?? "").toLowerCase();
    const says = (words: Words): boolean => [words].flat().some((it) => it.toLowerCase() === word);
    const isOnline = says(rule.presence.online);
    if (!isOnline && !says(rule.presence.offline)) return undefined;
    return { ...head, readings: [], states: {}, presence: isOnline ? "online" : "offline" };
  }
  const readings: DecodedReading[] = [];
  const states: Record<string, Value> = {};
  let version: string | undefined;
  for (const [path, value] of leaves) {
    const found = fieldFor(fields, path);
    if (found === undefined) continue;
    const names = { ...captured, "1": found.captured };
    if (found.field.version) version = String(value).slice(0, LIMITS.NAME_BYTES_MAX);
    else if (found.field.metric !== undefined) {
      const reading = readingOf(found.field, names, value);
      if (reading !== undefined) readings.push(reading);
      if (reading !== undefined || found.field.state === undefined) continue;
    }
    if (found.field.state !== undefined) {
      const state = nameOf(found.field.state, names);
      if (state !== "__proto__") states[state] = stateOf(value);
    }
  }
  if (readings.length === 0 && Object.keys(states).length === 0 && version === undefined) return undefined;
  return { ...head, readings, states, ...(version === undefined ? {} : { version }) };
}

function fieldFor(
  fields: readonly CompiledField[],
  path: string,
): { readonly field: CompiledField; readonly captured: string } | undefined {
  for (const field of fields) {
    if (field.match === undefined) {
      if (path === "") return { field, captured: "" };
      continue;
    }
    const match = field.match.exec(path);
    if (match !== null) return { field, captured: match[1] ?? "" };
  }
  return undefined;
}

function readingOf(field: Field, names: Captured, value: Value): DecodedReading | undefined {
  const number = typeof value === "string" ? numberOf(value) : Number(value);
  if (number === undefined || !Number.isFinite(number)) return undefined;
  const metric = nameOf(field.metric as string, names);
  return { metric, unit: field.unit ?? unitOf(metric), value: rounded(number * (field.scale ?? 1)) };
}

/** Units that a name tells, where the payload does not. */
const UNITS: Readonly<Record<string, string>> = {
  temperature: "Cel",
  humidity: "%",
  battery: "%",
  power: "W",
  voltage: "V",
  current: "A",
  energy: "kW.h",
  pressure: "hPa",
  illuminance: "lx",
  signal: "dBm",
  uptime: "s",
};

function unitOf(metric: string): string {
  return UNITS[metric.split("-").at(-1) ?? ""] ?? "";
}

function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

function stateOf(value: Value): Value {
  if (typeof value !== "string") return value;
  const word = value.toLowerCase();
  if (ON.has(word)) return true;
  if (OFF.has(word)) return false;
  return numberOf(value) ?? value.slice(0, LIMITS.TEXT_VALUE_BYTES_MAX / 2);
}

function numberOf(text: string): number | undefined {
  const trimmed = text.trim();
  return /^[+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/i.test(trimmed) ? Number(trimmed) : undefined;
}

/** Scalars by their path; the path of a payload that is one is empty. Undefined when it is neither text nor JSON. */
function leavesOf(payload: Uint8Array): ReadonlyMap<string, Value> | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
  } catch {
    return undefined;
  }
  if (!/^\s*[{[]/.test(text)) return new Map([["", text.slice(0, WORD_CHARS_MAX)]]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const leaves = new Map<string, Value>();
  collect(value, "", DEPTH_MAX, leaves);
  return leaves;
}

function collect(value: unknown, path: string, depth: number, into: Map<string, Value>): void {
  if (into.size >= LEAVES_MAX) return;
  if (typeof value === "number" || typeof value === "boolean") into.set(path, value);
  else if (typeof value === "string") into.set(path, value.slice(0, WORD_CHARS_MAX));
  else if (typeof value === "object" && value !== null && depth > 0) {
    for (const [key, inner] of Object.entries(value)) {
      collect(inner, path === "" ? key : `${path}.${key}`, depth - 1, into);
    }
  }
}

function merged(a: Decoded, b: Decoded): Decoded {
  return { ...a, ...b, readings: [...a.readings, ...b.readings], states: { ...a.states, ...b.states } };
}

/** The topic's test, giving what was captured. */
function topicPattern(topic: string): (topic: string) => Captured | undefined {
  const pattern = topic
    .split("/")
    .map((level) => {
      const name = /^\{([a-z]+)\}$/.exec(level)?.[1];
      // A level that begins with $ says something of the device, as Homie's $state does; none is called so.
      return name === undefined ? escaped(level) : `(?<${name}>[^/$][^/]*)`;
    })
    .join("/");
  const expression = new RegExp(`^${pattern}$`);
  return (given) => expression.exec(given)?.groups;
}

function filterOf(topic: string): string {
  return topic
    .split("/")
    .map((level) => (/^\{.*\}$/.test(level) ? "+" : level))
    .join("/");
}

function nameOf(template: string, names: Captured): string {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return filled(template, names, plain)
    .replace(/^-+|-+$/g, "")
    .slice(0, LIMITS.METRIC_NAME_BYTES_MAX);
}

function filled(template: string, names: Captured, put: (text: string) => string): string {
  return template.replace(/\{([a-z]+|1)\}/g, (_, name: string) => put(names[name] ?? ""));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
