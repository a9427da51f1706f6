/** `tardi plugin build` and `tardi plugin run`: make a decoder, and see what it does to a message before a gateway has it. */
import { writeFile } from "node:fs/promises";
import { buildPlugin } from "../../boards/toolchain/plugin.ts";
import { TardigradeError } from "../../protocols/error.ts";
import type { Value } from "../../protocols/messages.generated.ts";
import type { Decoded, Publish } from "../gateway/plain/decoder.ts";
import { decodedOf, publishOf } from "../gateway/plain/plugin-output.ts";
import { systemClock } from "../io/clock.ts";
import { note, print, printJson, progress, table, yellow } from "./output.ts";
import { openPluginFile } from "./plugin-setup.ts";

export async function pluginBuildCommand(
  source: string,
  { out, json }: { readonly out?: string; readonly json?: boolean },
): Promise<void> {
  const line = json ? undefined : progress(`Building ${source}`);
  const { component, language, warnings } = await buildPlugin(source);
  const file = out ?? source.replace(/\.[a-z]+$/, ".wasm");
  await writeFile(file, component);
  line?.done(`${language}, ${component.length} bytes`);
  if (json) return printJson({ file, language, bytes: component.length, warnings });
  for (const warning of warnings) note(`${yellow("warning")} ${warning}`);
  print(file);
}

export interface PluginRunOptions {
  readonly topic: string;
  readonly payload?: string;
  readonly hex?: string;
  readonly set?: string;
  readonly device?: string;
  readonly family: string;
  readonly time: number;
  readonly memory: number;
  readonly json?: boolean;
}

export async function pluginRunCommand(file: string, options: PluginRunOptions): Promise<void> {
  const { topic, family, device, json } = options;
  const payload = payloadOf(options);
  const wanted = options.set === undefined ? undefined : settingOf(options.set);
  const line = json ? undefined : progress(`Loading ${file}`);
  const clock = systemClock();
  const runner = await openPluginFile(file, {
    name: family,
    timeMs: options.time,
    memoryMb: options.memory,
    clock,
  });
  try {
    const startMs = clock.monotonicMs();
    const decoded = decodedOf(await runner.call({ kind: "decode", topic, payload }), family);
    line?.done(`decoded in ${(clock.monotonicMs() - startMs).toFixed(1)} ms`);
    let publish: Publish | undefined;
    if (wanted !== undefined) {
      const name = device ?? decoded?.name;
      if (name === undefined) throw wrong("Of which device? The message names none; say --device NAME.");
      publish = publishOf(await runner.call({ kind: "encode", device: name, ...wanted }), ["#"]);
    }
    if (json) return printJson({ decoded: decoded ?? null, ...(wanted && { publish: shown(publish) }) });
    printDecoded(decoded);
    if (wanted !== undefined) print(publish === undefined ? "no such control" : lineOf(publish));
  } finally {
    await runner.close();
  }
}

function payloadOf({ payload, hex }: PluginRunOptions): Uint8Array {
  if ((payload === undefined) === (hex === undefined)) throw wrong("Say --payload TEXT or --hex DIGITS.");
  if (payload !== undefined) return new TextEncoder().encode(payload);
  const digits = (hex ?? "").replaceAll(/[\s:]/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw wrong("--hex takes pairs of hexadecimal digits.");
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** `valve=true`, `interval=60`, `mode=eco`. */
function settingOf(text: string): { readonly state: string; readonly value: Value } {
  const at = text.indexOf("=");
  if (at < 1) throw wrong("--set takes STATE=VALUE, such as valve=true.");
  const word = text.slice(at + 1);
  const number = Number(word);
  const value: Value =
    word === "true" || word === "false"
      ? word === "true"
      : word !== "" && Number.isFinite(number)
        ? number
        : word;
  return { state: text.slice(0, at), value };
}

function printDecoded(decoded: Decoded | undefined): void {
  if (decoded === undefined) return print("none of its messages");
  const { device, version, presence, readings, states } = decoded;
  print([device, version, presence].filter((it) => it !== undefined).join("  "));
  const rows = [
    ...readings.map(({ metric, unit, value }) => ["reading", metric, `${value} ${unit}`.trim()]),
    ...Object.entries(states).map(([key, value]) => ["state", key, String(value)]),
  ];
  if (rows.length > 0) print(table(["", "name", "value"], rows));
}

function shown(publish: Publish | undefined): unknown {
  if (publish === undefined) return null;
  return { topic: publish.topic, hex: Buffer.from(publish.payload).toString("hex") };
}

function lineOf({ topic, payload }: Publish): string {
  const bytes = Buffer.from(payload);
  const text = bytes.toString("utf8");
  return `publishes on ${topic}: ${/^[ -~]+$/.test(text) ? text : `hex ${bytes.toString("hex")}`}`;
}

function wrong(message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message);
}
