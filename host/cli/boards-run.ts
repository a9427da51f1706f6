/**
 * `tardi boards run`: virtual boards in a process of their own, as devices are apart from their gateway. It talks to whoever
 * started it in JSON lines: figures each second on standard output; `pause`, `figures` and `stop` on standard input.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type BoardImage, VirtualBoard } from "../../boards/simulators/virtual/board.ts";
import { MqttLink } from "../../boards/simulators/virtual/mqtt-link.ts";
import type { AnalogSource } from "../../boards/simulators/virtual/pins.ts";
import { type Channel, readColumn, replay } from "../../boards/simulators/virtual/replay.ts";
import { systemClock } from "../io/clock.ts";
import { nodeNetwork } from "../io/network.ts";
import { systemRandom } from "../io/random.ts";
import type { PicoBoards } from "./pico-boards.ts";
import type { UnoBoard } from "./uno-boards.ts";

export interface BoardsRunOptions {
  readonly url: string;
  readonly site: string;
  readonly count: number;
  /** Folder with system.wasm, app.wasm and image.json, as `tardi build --out` writes it. */
  readonly image: string;
  readonly csv?: string;
  readonly columns: readonly Channel[];
  readonly rowMs: number;
  readonly prefix: string;
  readonly username?: string;
  readonly password?: string;
  /** Emulated Picos: their flash image, and a TCP port for the UART of each. */
  readonly picoImage?: string;
  readonly picoPort?: readonly number[];
  /** An emulated Uno: its sketch (Intel HEX), and a TCP port for its serial port. */
  readonly unoHex?: string;
  readonly unoPort?: number;
}

/** Of all boards together; `boards` are the virtual ones, `picos` the emulated ones. */
export interface BoardsFigures {
  readonly boards: number;
  readonly picos: number;
  readonly connected: number;
  readonly produced: number;
  readonly dropped: number;
  readonly held: number;
  readonly batched: number;
  readonly traps: number;
  /** LED of the emulated Uno, as its processor drives it. */
  readonly unoLed?: 0 | 1;
}

/** Rows between two boards' places in the series, so that they do not say the same. */
const ROWS_APART = 137;
const REPORT_MS = 1_000;
/** Connections opened at a time: a broker takes some hundreds a second. */
const CONNECT_BATCH = 50;

export function deviceName(prefix: string, index: number): string {
  return `${prefix}-${String(index + 1).padStart(2, "0")}`;
}

interface Running {
  readonly board: VirtualBoard;
  readonly link: MqttLink;
}

export async function runBoards(options: BoardsRunOptions): Promise<void> {
  const { boards, picos, uno } = await openBoards(options);
  const clock = systemClock();
  let stopped = false;
  let cancel = () => {};
  const report = () => {
    if (stopped) return;
    say("figures", figuresOf({ boards, picos, uno }));
    cancel = clock.alarm(REPORT_MS, report);
  };
  report();
  await new Promise<void>((resolve) => {
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => {
      if (line === "pause") {
        for (const { board } of boards) board.pauseApp();
        picos?.pause();
        uno?.mute();
      }
      // Whoever waits for an end must not take figures of before for it.
      if (line === "pause") say("paused", figuresOf({ boards, picos, uno }));
      if (line === "figures") say("figures", figuresOf({ boards, picos, uno }));
      if (line === "stop") resolve();
    });
    // Whoever started it is gone.
    lines.on("close", resolve);
    process.once("SIGTERM", resolve);
    process.once("SIGINT", () => {
      // The terminal sends it to the whole group; the starter says `stop` when it has counted.
      if (process.stdin.isTTY) resolve();
    });
  });
  stopped = true;
  cancel();
  say("final", figuresOf({ boards, picos, uno }));
  await picos?.close();
  await uno?.close();
  await Promise.all(boards.map(({ link }) => link.close()));
  for (const { board } of boards) board.powerCut();
  // An open standard input would keep the process.
  process.stdin.destroy();
}

function say(type: string, figures: BoardsFigures): void {
  process.stdout.write(`${JSON.stringify({ type, ...figures })}\n`);
}

interface Opened {
  readonly boards: readonly Running[];
  readonly picos: PicoBoards | undefined;
  readonly uno: UnoBoard | undefined;
}

async function openBoards(options: BoardsRunOptions): Promise<Opened> {
  const system = await WebAssembly.compile(await readBytes(join(options.image, "system.wasm")));
  const app = await WebAssembly.compile(await readBytes(join(options.image, "app.wasm")));
  const about = JSON.parse(await readFile(join(options.image, "image.json"), "utf8")) as Omit<
    BoardImage,
    "app"
  >;
  const csv = options.csv === undefined ? undefined : await readFile(options.csv, "utf8");
  const series = csv === undefined ? [] : options.columns.map(({ column }) => readColumn(csv, column));
  const clock = systemClock();
  const random = systemRandom();
  const boards: Running[] = [];
  const analogOf = (index: number) =>
    replay({
      series,
      channels: options.columns,
      rowMs: options.rowMs,
      firstRow: index * ROWS_APART,
    });
  const picos = await openPicos(options, (index) => analogOf(options.count + index));
  const uno = await openUno(options, analogOf(0));
  for (let index = 0; index < options.count; index += 1) {
    const id = deviceName(options.prefix, index);
    const link = new MqttLink({
      url: options.url,
      site: options.site,
      device: id,
      unit: () => random.unit(),
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
    });
    const board = new VirtualBoard({
      id,
      system,
      image: { ...about, app },
      clock,
      random: () => random.u32(),
      link,
      analog: analogOf(index),
    });
    board.powerOn();
    link.open(board);
    boards.push({ board, link });
    if (index % CONNECT_BATCH === CONNECT_BATCH - 1)
      await new Promise<void>((resolve) => clock.alarm(100, resolve));
  }
  return { boards, picos, uno };
}

/** The emulator is loaded where a Pico is wanted. */
async function openPicos(
  { picoImage, picoPort = [] }: BoardsRunOptions,
  analog: (index: number) => AnalogSource,
): Promise<PicoBoards | undefined> {
  if (picoImage === undefined || picoPort.length === 0) return undefined;
  const { openPicoBoards } = await import("./pico-boards.ts");
  return openPicoBoards({
    image: picoImage,
    ports: picoPort,
    analog,
    network: nodeNetwork(),
    clock: systemClock(),
    random: systemRandom(),
  });
}

async function openUno(
  { unoHex, unoPort, columns }: BoardsRunOptions,
  analog: AnalogSource,
): Promise<UnoBoard | undefined> {
  if (unoHex === undefined || unoPort === undefined) return undefined;
  const { celsiusOf, openUnoBoard } = await import("./uno-boards.ts");
  return openUnoBoard({
    hex: unoHex,
    port: unoPort,
    celsius: celsiusOf(analog, columns[0]),
    network: nodeNetwork(),
    clock: systemClock(),
  });
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return Uint8Array.from(await readFile(path));
}

function figuresOf({ boards, picos, uno }: Opened): BoardsFigures {
  const native = picos?.figures();
  const sum = {
    boards: boards.length,
    picos: native?.boards ?? 0,
    connected: native?.connected ?? 0,
    produced: native?.produced ?? 0,
    dropped: native?.dropped ?? 0,
    held: native?.held ?? 0,
    batched: 0,
    traps: native?.traps ?? 0,
    ...(uno === undefined ? {} : { unoLed: uno.led }),
  };
  for (const { board } of boards) {
    const figures = board.figures();
    sum.connected += figures.sessionOpen ? 1 : 0;
    sum.produced += figures.readingsProduced;
    sum.dropped += figures.readingsDropped;
    sum.held += figures.messagesHeld;
    sum.batched += figures.readingsBatched;
    sum.traps += figures.traps;
  }
  return sum;
}
