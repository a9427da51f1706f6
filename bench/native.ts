/**
 * Native code on the emulated Cortex-M0+: cycles of the core's algorithms as apps have them, beside the same written by hand in C; and
 * how many emulated Picos one thread carries in real time. Cycles are exact and the same each time: one round is enough.
 */
import { join } from "node:path";
import { boardNamed, type NativeDefinition } from "../boards/definitions/definition.ts";
import { PicoBoard } from "../boards/simulators/pico/board.ts";
import { type BuiltApp, buildApp } from "../boards/toolchain/build.ts";
import { buildNative, buildPeer, type NativeImage } from "../boards/toolchain/native/image.ts";
import { armTools } from "../boards/toolchain/native/tools.ts";
import { StreamLink } from "../protocols/link.ts";
import { decodeMessage, encodeMessage } from "../protocols/message.ts";
import type { Message } from "../protocols/messages.generated.ts";
import { ROOT } from "./child.ts";
import { hex, type SuiteOptions, sameChecksum, scaled, short } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
const STEP_US = 1000;
const ANSWER_MS = 600_000;

/** Rounds whose difference is measured: what is around them (link, command, answer) cancels out. */
const KERNELS = [
  { name: "crc", claim: "CRC-32 of 1 KiB", rounds: 64, goal: 0.4 },
  { name: "bucket", claim: "token bucket, one take", rounds: 4000, goal: 0.4 },
  { name: "ewma", claim: "EWMA with z-score, one reading", rounds: 4000, goal: 0.4 },
] as const;

export async function nativeSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const board = boardNamed("pico");
  if (board.kind !== "native") throw new Error("pico is no native board");
  const { version } = await armTools();
  const gcc = /\d+\.\d+\.\d+/.exec(version)?.[0] ?? version;
  const app = await buildApp({ path: join(ROOT, "bench/apps/native/app.ts"), board: "pico" });
  const built = await buildNative(board, app);
  const sides: { readonly name: string; readonly image: NativeImage }[] = [
    { name: "ours", image: built.app },
  ];
  for (const level of ["-O2", "-Os"])
    sides.push({ name: `C ${level}`, image: await peerImage(board, app, level) });
  const rows: BenchRow[] = [];
  const results = new Map<string, readonly Measured[]>();
  for (const { name, image } of sides) {
    options.say(`kernels, ${name}`);
    results.set(name, await kernels(board, built.base, image, options.scale));
  }
  for (const [index, { claim, goal }] of KERNELS.entries()) {
    const ours = results.get("ours")?.[index] as Measured;
    for (const level of ["-O2", "-Os"]) {
      const peer = results.get(`C ${level}`)?.[index] as Measured;
      rows.push(
        benchRow({
          claim: `${claim}, checked AssemblyScript / C ${level}`,
          unit: "cycles",
          better: "less",
          ours: ours.cycles,
          peer: { name: `gcc ${level}`, version: gcc, value: peer.cycles },
          ...(level === "-O2" ? { goal } : {}),
          checksum: sameChecksum({ ours: ours.checksum, [level]: peer.checksum }),
          note: `difference of two runs, ${short(ours.rounds)} rounds apart, on the emulated M0+; ours at -Os with every access checked and the base's arithmetic, C with the compiler's own`,
        }),
      );
    }
  }
  options.say("Picos in real time");
  rows.push(await realTime(board, await buildApp({ path: join(ROOT, GREENHOUSE), board: "pico" }), options));
  return rows;
}

function peerImage(board: NativeDefinition, app: BuiltApp, level: string): Promise<NativeImage> {
  return buildPeer(board, {
    source: join(ROOT, "bench/apps/native/peer.c"),
    arenaBytes: 128,
    capabilities: app.capabilities,
    flags: [level],
  });
}

interface Measured {
  readonly rounds: number;
  readonly cycles: number;
  readonly checksum: number;
}

async function kernels(
  board: NativeDefinition,
  base: NativeImage,
  app: NativeImage,
  scale: number,
): Promise<readonly Measured[]> {
  const peer = new Peer(board, base, app);
  const measured: Measured[] = [];
  for (const { name, rounds } of KERNELS) {
    const count = scaled(rounds, scale, 8);
    const once = peer.command(name, count);
    const twice = peer.command(name, count * 2);
    measured.push({
      rounds: count,
      cycles: (twice.cycles - once.cycles) / count,
      checksum: (twice.result + once.result) >>> 0,
    });
  }
  return measured;
}

/** A board, and a gateway of few lines at its link. */
class Peer {
  readonly board: PicoBoard;
  readonly #link: StreamLink;
  readonly #received: Message[] = [];
  readonly #out: Uint8Array[] = [];
  #commands = 0;

  constructor(definition: NativeDefinition, base: NativeImage, app: NativeImage) {
    const flash = new Uint8Array(definition.flash.bytes).fill(0xff);
    for (const { offset, bytes } of [base, app]) flash.set(bytes, offset);
    this.board = new PicoBoard({
      flash,
      analog: () => 0.5,
      onUart: (uart, bytes) => {
        if (uart === 0) this.#link.receive(bytes, this.board.nowUs / 1000);
      },
    });
    this.#link = new StreamLink({
      send: (bytes) => {
        this.#out.push(bytes);
        return true;
      },
      deliver: (bytes) => this.#take(bytes),
    });
    this.board.powerOn();
    this.run(5000, () => this.#received.some(({ kind }) => kind === "shadow"));
  }

  get messages(): number {
    return this.#received.length;
  }

  #take(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) throw new Error(`the board sent ${decoded.code}`);
    const { message } = decoded;
    this.#received.push(message);
    if (message.kind === "hello")
      this.#send({
        kind: "welcome",
        session: message.session,
        code: 0,
        boot: 0,
        seq: 0,
        window: 8,
        wallMs: 0,
      });
    else if ("seq" in message && "uptimeUs" in message)
      this.#send({ kind: "durableAck", boot: message.boot, seq: message.seq });
  }
  #send(message: Message): void {
    this.#link.enqueue(encodeMessage(message), this.board.nowUs / 1000);
  }

  run(ms: number, until: () => boolean = () => false): void {
    for (let at = 0; at < ms && !until(); at += STEP_US / 1000) {
      this.board.advance(STEP_US);
      this.#link.poll(this.board.nowUs / 1000);
      for (const bytes of this.#out.splice(0)) this.board.receiveUart(0, bytes);
    }
  }

  /** Cycles that the processor executed until it had answered and slept again. */
  command(name: string, n: number): { readonly cycles: number; readonly result: number } {
    this.#commands += 1;
    const id = this.#commands;
    this.run(100);
    const before = this.board.cycles;
    this.#send({ kind: "command", id, name, args: [{ key: "n", value: n }] });
    const answer = () =>
      this.#received.find((message) => message.kind === "commandResult" && message.id === id);
    this.run(ANSWER_MS, () => answer() !== undefined);
    this.run(100);
    const found = answer();
    if (found?.kind !== "commandResult" || typeof found.result !== "number")
      throw new Error(`${name} was not answered`);
    return { cycles: this.board.cycles - before, result: found.result };
  }
}

/** Virtual seconds of greenhouse boards, interleaved in one thread, for each second of its processor time. */
async function realTime(board: NativeDefinition, app: BuiltApp, options: SuiteOptions): Promise<BenchRow> {
  const built = await buildNative(board, app);
  const boards = Array.from({ length: 5 }, () => new Peer(board, built.base, built.app));
  const seconds = scaled(120, options.scale, 4);
  const cpuBefore = process.cpuUsage();
  for (let second = 0; second < seconds; second += 1) for (const peer of boards) peer.run(1000);
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuS = (user + system) / 1e6;
  const messages = boards.reduce((sum, peer) => sum + peer.messages, 0);
  return benchRow({
    claim: "emulated Picos in real time on one core",
    unit: "boards",
    better: "more",
    ours: (boards.length * seconds) / cpuS,
    peer: { name: "one board a core", version: "-", value: 1 },
    goal: 5,
    checksum: hex(messages),
    note: `${boards.length} boards with greenhouse and a gateway that acknowledges, ${seconds} s each, interleaved; ${Math.round((cpuS / boards.length / seconds) * 1e6)} us of processor time a board and second`,
  });
}
