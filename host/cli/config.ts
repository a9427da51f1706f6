/**
 * Reads tardigrade.yaml. Whatever is wrong with it is told in one go, each problem with its line and column, the key's path and
 * what would be right: the keys allowed there and the nearest spelling. A file that is wrong anywhere configures nothing.
 *
 * The text is parsed into a tree that knows positions, the plain value is checked against config-schema.ts, and each problem of
 * the value is looked up in the tree. Hostile input is bounded: the size, the depth, and how far aliases may multiply.
 */
import type { TSchema } from "typebox";
import { Settings } from "typebox/system";
import { Value } from "typebox/value";
import { type Document, LineCounter } from "yaml";
import { TardigradeError } from "../../protocols/error.ts";
import { componentProblems } from "../gateway/firmata/component.ts";
import { type Config, ConfigSchema, TOKEN_CHARS_MIN } from "./config-schema.ts";
import { nearest } from "./nearest.ts";
import {
  keyPosition,
  type Path,
  type Problem,
  parseTree,
  plainValue,
  problem,
  valuePosition,
} from "./yaml-tree.ts";

export type { Config } from "./config-schema.ts";

export const CONFIG_CHARS_MAX = 256 * 1024;
/** Told at once; a file with more is something else altogether. */
const PROBLEMS_MAX = 20;
const SCHEMA_ERRORS_MAX = 200;

/** Environment variables, for passwordEnv and tokenEnv. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the data folder's file of users, tokens and devices names somebody for HTTP, and somebody for MQTT. */
export interface Known {
  readonly people: boolean;
  readonly clients: boolean;
}

/**
 * The configuration that a text stands for, defaults filled in, secrets taken from `environment` where the text says so. Throws
 * CONFIG_INVALID, or AUTH_REQUIRED when all that is wrong is an address beyond loopback without authentication.
 */
export function loadConfig(
  text: string,
  fileName: string,
  environment: Environment = {},
  knownIn: (data: string) => Known = () => ({ people: false, clients: false }),
): Config {
  const lines = new LineCounter();
  if (text.length > CONFIG_CHARS_MAX) {
    throw failure(fileName, lines, [
      problem(0, `the file is longer than ${CONFIG_CHARS_MAX} characters; is it the right one?`),
    ]);
  }
  const { document, problems } = parseTree(text, lines);
  if (problems.length > 0) throw failure(fileName, lines, problems);
  const given = plainValue(document, problems);
  if (problems.length > 0) throw failure(fileName, lines, problems);
  const filled = Value.Default(ConfigSchema, withoutEmptySections(given));
  problems.push(...schemaProblems(document, filled));
  if (problems.length > 0) throw failure(fileName, lines, problems);
  const config = withSecrets(filled as Config, environment, document, problems);
  problems.push(...ruleProblems(config, knownIn(config.data), document));
  if (problems.length > 0) throw failure(fileName, lines, problems);
  return config;
}

/** `mqtt:` or `serial:` with everything below it commented out means its defaults. */
function withoutEmptySections(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const kept = Object.entries(value).filter(
    ([name, found]) => found !== null || !/^(?:object|array)$/.test(schemaAt([name]).type ?? ""),
  );
  return Object.fromEntries(kept);
}

function schemaProblems(document: Document, value: unknown): Problem[] {
  const problems: Problem[] = [];
  for (const error of allErrors(value)) {
    const path = pathOf(error.instancePath);
    const params = error.params as { additionalProperties?: string[]; requiredProperties?: string[] };
    const schema = schemaAt(path);
    // The schema `false` that stands for an unknown key is told by its parent.
    if (error.keyword === "boolean") continue;
    if (error.keyword === "additionalProperties") {
      for (const name of params.additionalProperties ?? []) {
        problems.push(problem(keyPosition(document, [...path, name]), unknownKey(path, name, schema)));
      }
    } else if (error.keyword === "required") {
      for (const name of params.requiredProperties ?? []) {
        problems.push(problem(keyPosition(document, path), `${dotted([...path, name])} is missing`));
      }
    } else {
      const found = valueAt(value, path);
      problems.push(problem(valuePosition(document, path), wrongValue(path, found, schema)));
    }
  }
  return unique(problems);
}

/** typebox stops at eight unless told otherwise, and takes that for the whole process only. */
function allErrors(value: unknown): ReturnType<typeof Value.Errors> {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: SCHEMA_ERRORS_MAX });
  try {
    return Value.Errors(ConfigSchema, value);
  } finally {
    Settings.Set({ maxErrors });
  }
}

function unknownKey(path: Path, name: string, schema: SchemaNode): string {
  const allowed = Object.keys(schema.properties ?? {});
  const near = nearest(name, allowed);
  const hint = near === undefined ? "" : ` Did you mean "${near}"?`;
  const where = path.length === 0 ? "the file" : dotted(path);
  return `unknown key "${shown(name)}" in ${where}.${hint} Allowed: ${allowed.join(", ")}`;
}

function wrongValue(path: Path, found: unknown, schema: SchemaNode): string {
  const name = path.length === 0 ? "the file" : dotted(path);
  if (schema.enum !== undefined) {
    const near = typeof found === "string" ? nearest(found, schema.enum) : undefined;
    const listed = schema.enum.length > 10 ? "a known one" : `one of ${schema.enum.join(", ")}`;
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    return `${name} must be ${listed}, not ${quoted(path, found)}${hint}`;
  }
  const not = `, not ${quoted(path, found)}`;
  switch (schema.type) {
    case "integer":
    case "number": {
      const kind = schema.type === "integer" ? "a whole number" : "a number";
      return `${name} must be ${kind} from ${schema.minimum} to ${schema.maximum}${not}`;
    }
    case "object":
      return `${name} must hold keys (${Object.keys(schema.properties ?? {}).join(", ")})${not}`;
    case "array":
      return schema.minItems === undefined
        ? `${name} must be a list of at most ${schema.maxItems} entries${not}`
        : `${name} must be a list of ${schema.minItems} to ${schema.maxItems} entries${not}`;
    default: {
      if (typeof found !== "string") return `${name} must be a text${not}; put it in quotes`;
      if ((schema.minLength ?? 0) > found.length) {
        return `${name} must have at least ${schema.minLength} characters`;
      }
      if (found.length > (schema.maxLength ?? found.length)) {
        return `${name} must have at most ${schema.maxLength} characters`;
      }
      return `${name} must match ${schema.pattern} (${schema.description})${not}`;
    }
  }
}

/** Takes passwordEnv and tokenEnv from the environment. */
function withSecrets(
  config: Config,
  environment: Environment,
  document: Document,
  problems: Problem[],
): Config {
  const take = (section: "mqtt" | "http" | "forward", name: "password" | "token"): string | undefined => {
    const keys = (config[section] ?? {}) as Record<string, unknown>;
    const variable = keys[`${name}Env`];
    if (typeof variable !== "string") return undefined;
    const at = valuePosition(document, [section, `${name}Env`]);
    if (keys[name] !== undefined)
      problems.push(problem(at, `${section} has ${name} and ${name}Env; keep one`));
    const value = environment[variable];
    if (value !== undefined && value !== "") return value;
    problems.push(problem(at, `${section}.${name}Env: the environment variable ${variable} is not set`));
    return undefined;
  };
  const mqttPassword = take("mqtt", "password");
  const token = take("http", "token");
  const forwardPassword = take("forward", "password");
  if (token !== undefined && !/^\S+$/.test(token)) {
    problems.push(
      problem(valuePosition(document, ["http", "tokenEnv"]), "http.tokenEnv: a token has no spaces in it"),
    );
  }
  if (token !== undefined && token.length < TOKEN_CHARS_MIN) {
    problems.push(
      problem(
        valuePosition(document, ["http", "tokenEnv"]),
        `http.tokenEnv: the token must have at least ${TOKEN_CHARS_MIN} characters`,
      ),
    );
  }
  const { forward, ...rest } = config;
  return {
    ...rest,
    mqtt: mqttPassword === undefined ? config.mqtt : { ...config.mqtt, password: mqttPassword },
    http: token === undefined ? config.http : { ...config.http, token },
    ...(forward === undefined
      ? {}
      : { forward: forwardPassword === undefined ? forward : { ...forward, password: forwardPassword } }),
  };
}

/** What one key means for another. */
function ruleProblems(
  { mqtt, http, store, serial, firmata, forward, cluster, alerts }: Config,
  known: Known,
  document: Document,
): Problem[] {
  const problems: Problem[] = [];
  const add = (path: Path, message: string, code: Problem["code"] = "CONFIG_INVALID"): void => {
    problems.push({ code, position: valuePosition(document, path), message });
  };
  if (mqtt.mode === "external" && mqtt.url === undefined) {
    add(["mqtt", "mode"], "mqtt.mode external needs mqtt.url, such as mqtt://broker:1883");
  }
  if (mqtt.mode === "embedded" && mqtt.url !== undefined) {
    add(["mqtt", "url"], "mqtt.url is for mqtt.mode external; the embedded broker takes host and port");
  }
  if (cluster !== undefined && mqtt.mode !== "external") {
    add(
      ["cluster"],
      "cluster needs mqtt.mode external: gateways can share only devices that all of them reach, at one broker",
    );
  }
  const mqttPassword = mqtt.password ?? mqtt.passwordEnv;
  if ((mqtt.username === undefined) !== (mqttPassword === undefined)) {
    add(["mqtt"], "mqtt needs username and password, or neither");
  }
  for (const [name, { tls }] of [
    ["mqtt", mqtt],
    ["http", http],
  ] as const) {
    if (tls?.clientCertificates === "required" && tls.ca === undefined) {
      add(
        [name, "tls"],
        `${name}.tls.clientCertificates required needs ${name}.tls.ca, the authority that signs them`,
      );
    }
  }
  if (mqtt.tls !== undefined && mqtt.mode === "external") {
    add(
      ["mqtt", "tls"],
      "mqtt.tls is for the embedded broker; an external one is reached with mqtts:// in mqtt.url",
    );
  }
  const mqttIsOpen = mqttPassword === undefined && !known.clients;
  if (mqtt.mode === "embedded" && !isLoopbackName(mqtt.host) && mqttIsOpen) {
    add(
      ["mqtt", "host"],
      `mqtt.host ${mqtt.host} is beyond this machine: add devices with \`tardi device add\`, or set mqtt.username and mqtt.password`,
      "AUTH_REQUIRED",
    );
  }
  const tokens = [http.token ?? http.tokenEnv, http.tokenFile].filter((it) => it !== undefined);
  if (tokens.length > 1) add(["http", "tokenFile"], "http has more than one token; keep one");
  if (!isLoopbackName(http.host) && tokens.length === 0 && !known.people) {
    add(
      ["http", "host"],
      `http.host ${http.host} is beyond this machine: add users with \`tardi user add\`, or set http.token, http.tokenFile or http.tokenEnv`,
      "AUTH_REQUIRED",
    );
  }
  const bothListen = mqtt.mode === "embedded" && mqtt.port === http.port && mqtt.port !== 0;
  if (bothListen) add(["http", "port"], `http.port ${http.port} is mqtt.port too; choose another`);
  if (store.retentionMb < 2 * store.segmentMb) {
    add(["store", "retentionMb"], "store.retentionMb must hold two segments of store.segmentMb at least");
  }
  const forwardPassword = forward?.password ?? forward?.passwordEnv;
  if (forward !== undefined && (forward.username === undefined) !== (forwardPassword === undefined)) {
    add(["forward"], "forward needs username and password, or neither");
  }
  const links = [
    ...serial.map((link, index) => ({ link, path: ["serial", index] as const })),
    ...firmata.map((link, index) => ({ link, path: ["firmata", index] as const })),
  ];
  for (const [index, { link, path }] of links.entries()) {
    for (const key of ["port", "device"] as const) {
      const other = links.slice(0, index).find((it) => it.link[key] === link[key]);
      if (other === undefined) continue;
      add(
        [...path, key],
        `${dotted([...path, key])} ${shown(link[key])} is that of ${dotted(other.path)} too`,
      );
    }
  }
  for (const [index, { components }] of firmata.entries()) {
    for (const { at, message } of componentProblems(components)) {
      const path = ["firmata", index, "components", at];
      add(path, `${dotted(path)}: ${message}`);
    }
  }
  for (const [index, threshold] of alerts.thresholds.entries()) {
    if (threshold.code !== undefined || threshold.severity !== undefined) continue;
    add(["alerts", "thresholds", index], `alerts.thresholds[${index}] needs a code, a severity or both`);
  }
  return problems;
}

function isLoopbackName(host: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)$/i.test(host);
}

// The schema and the value along a path.

interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly description?: string;
}

function schemaAt(path: Path): SchemaNode {
  let schema: SchemaNode = ConfigSchema as SchemaNode;
  for (const part of path) schema = (schema.properties?.[part] ?? schema.items ?? {}) as SchemaNode;
  return schema;
}

function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const part of path) found = (found as Record<string | number, unknown> | undefined)?.[part];
  return found;
}

/** A JSON pointer's parts. */
function pathOf(pointer: string): (string | number)[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}

// Words.

function dotted(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? shown(part) : `.${shown(part)}`;
  }
  return text;
}

function quoted(path: Path, found: unknown): string {
  if (found === null || found === undefined) return "empty";
  if (Array.isArray(found)) return "a list";
  if (typeof found === "object") return "a section";
  if (typeof found === "number" || typeof found === "boolean") return String(found);
  // A secret with a wrong character is a secret still.
  if (/^(?:password|token)$/.test(String(path.at(-1)))) return "what is there";
  return JSON.stringify(shown(String(found)));
}

function shown(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

function unique(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((it) => [`${it.position} ${it.message}`, it])).values()];
}

function failure(fileName: string, lines: LineCounter, problems: readonly Problem[]): TardigradeError {
  const sorted = [...problems].sort((a, b) => a.position - b.position);
  const told = sorted.slice(0, PROBLEMS_MAX).map(({ position, message }) => {
    const { line, col } = lines.linePos(position);
    return `${fileName}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}`;
  });
  if (sorted.length > PROBLEMS_MAX) told.push(`and ${sorted.length - PROBLEMS_MAX} more`);
  const first = lines.linePos(sorted[0]?.position ?? 0);
  const code = sorted.every((it) => it.code === "AUTH_REQUIRED") ? "AUTH_REQUIRED" : "CONFIG_INVALID";
  return new TardigradeError(code, told.join("\n"), {
    context: {
      component: "config",
      file: fileName,
      line: Math.max(first.line, 1),
      column: Math.max(first.col, 1),
      problems: sorted.length,
    },
  });
}
