/**
 * Native code on the emulated Cortex-M0+: cycles of the core's algorithms as apps have them, beside the same written by hand in C; and
 * how many emulated Picos one thread carries in real time. Cycles are exact and the same each time: one round is enough.
 */
import { join } from "node:path";
import type { NativeDefinition } from "../boards/definitions/definition.ts";
import { type BuiltApp, buildApp } from "../boards/toolchain/build.ts";
import { buildNative, buildPeer, type NativeImage } from "../boards/toolchain/native/image.ts";
import { ROOT } from "./child.ts";
import { EmulatedPico, gccVersion, pico } from "./emulated-pico.ts";
import { hex, type SuiteOptions, sameChecksum, scaled, short } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";

/** Rounds whose difference is measured: what is around them (link, command, answer) cancels out. */
const KERNELS = [
  { name: "crc", claim: "CRC-32 of 1 KiB", rounds: 64, goal: 0.4 },
  { name: "bucket", claim: "token bucket, one take", rounds: 4000, goal: 0.4 },
  { name: "ewma", claim: "EWMA with z-score, one reading", rounds: 4000, goal: 0.4 },
] as const;

export async function nativeSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const board = pico();
  const gcc = await gccVersion();
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
  const peer = new EmulatedPico(board, base, app);
  const measured: Measured[] = [];
  for (const { name, rounds } of KERNELS) {
    const count = scaled(rounds, scale, 8);
    const once = peer.command(name, { n: count });
    const twice = peer.command(name, { n: count * 2 });
    measured.push({
      rounds: count,
      cycles: (twice.cycles - once.cycles) / count,
      checksum: (twice.result + once.result) >>> 0,
    });
  }
  return measured;
}

/** Virtual seconds of greenhouse boards, interleaved in one thread, for each second of its processor time. */
async function realTime(board: NativeDefinition, app: BuiltApp, options: SuiteOptions): Promise<BenchRow> {
  const built = await buildNative(board, app);
  const boards = Array.from({ length: 5 }, () => new EmulatedPico(board, built.base, built.app));
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
