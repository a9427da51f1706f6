/** The emulated Pico: native code in a flash image, in virtual time. */
import { boardNamed, type NativeDefinition } from "../../../boards/definitions/definition.ts";
import { PicoBoard } from "../../../boards/simulators/pico/board.ts";
import type { FlashCut, FlashOperation } from "../../../boards/simulators/pico/flash.ts";
import { buildNative, type NativeBuild } from "../../../boards/toolchain/native/image.ts";
import { flashOf } from "../../../boards/toolchain/native/uf2.ts";
import { builtApp } from "../board-rig.ts";
import type { TargetBoard, TargetOptions } from "./target.ts";

const STEP_US = 1000;
export const PICO = boardNamed("pico") as NativeDefinition;

export interface PicoTarget extends TargetBoard {
  readonly pico: PicoBoard;
  /** What the firmware wrote on its console. */
  readonly console: string[];
}

const builds = new Map<string, Promise<NativeBuild>>();

/** Built once a run, however many boards want it. */
export function nativeBuild(app: string): Promise<NativeBuild> {
  const known = builds.get(app) ?? builtApp(app).then((built) => buildNative(PICO, built));
  builds.set(app, known);
  return known;
}

export async function picoTarget(
  options: TargetOptions & {
    /** Flash of an earlier board; else the app freshly flashed. */
    readonly flash?: Uint8Array;
    readonly onFlashOperation?: (operation: FlashOperation) => FlashCut | undefined;
  },
): Promise<PicoTarget> {
  const build = await nativeBuild(options.app);
  const reads: number[] = [];
  const console: string[] = [];
  const pico = new PicoBoard({
    flash: options.flash ?? flashOf(PICO, build),
    analog: (channel) => {
      const words = options.series?.[channel];
      if (words === undefined) return Number.NaN;
      const read = reads[channel] ?? 0;
      reads[channel] = read + 1;
      return (words[read % words.length] as number) / 65_535;
    },
    onUart: (uart, bytes) => {
      if (uart === 0) target.onBytes(bytes);
      else console.push(Buffer.from(bytes).toString("latin1"));
    },
    ...(options.onFlashOperation ? { onFlashOperation: options.onFlashOperation } : {}),
  });
  const target: PicoTarget = {
    name: "pico",
    pico,
    console,
    onBytes: () => {},
    write: (bytes) => pico.receiveUart(0, bytes),
    powerOn: async () => pico.powerOn(),
    powerCut: async () => pico.powerCut(),
    reset: async () => pico.reset("forced"),
    nowMs: () => pico.nowUs / 1000,
    run: async (ms, until) => {
      for (let at = 0; at < ms && !until?.(); at += STEP_US / 1000) pico.advance(STEP_US);
    },
    pinLevel: (pin) => pico.pins.level(pin),
    close: async () => pico.powerCut(),
  };
  return target;
}
