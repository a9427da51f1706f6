/** The virtual board with a stream as link: the oracle for the others. */
import { VirtualBoard } from "../../../boards/simulators/virtual/board.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { builtApp, systemModule } from "../board-rig.ts";
import type { TargetBoard, TargetOptions } from "./target.ts";

const STEP_MS = 1;

export async function virtualTarget({ app, series = [] }: TargetOptions): Promise<TargetBoard> {
  const built = await builtApp(app);
  const clock = new SimulatedClock();
  const random = seededRandom(7);
  const reads: number[] = [];
  /** Bytes arrive after the call that sent them, as on a wire. */
  const onWire: Uint8Array[] = [];
  const board = new VirtualBoard({
    id: "oracle",
    system: await systemModule(),
    image: {
      app: await WebAssembly.compile(built.wasm),
      name: built.manifest.name,
      version: built.manifest.version,
      capabilities: built.capabilities,
    },
    clock,
    random: () => random.u32(),
    link: {
      kind: "stream",
      send: (bytes) => {
        onWire.push(bytes);
        return true;
      },
    },
    analog: (channel) => {
      const words = series[channel];
      if (words === undefined) return Number.NaN;
      const read = reads[channel] ?? 0;
      reads[channel] = read + 1;
      return (words[read % words.length] as number) / 65_535;
    },
  });
  const target: TargetBoard = {
    name: "virtual",
    onBytes: () => {},
    write: (bytes) => board.receive(bytes),
    powerOn: async () => {
      board.powerOn();
      board.setLink(true);
    },
    powerCut: async () => board.powerCut(),
    reset: async () => board.reset(),
    nowMs: () => clock.monotonicMs(),
    run: async (ms, until) => {
      for (let at = 0; at < ms && !until?.(); at += STEP_MS) {
        await clock.advance(STEP_MS);
        for (const bytes of onWire.splice(0)) target.onBytes(bytes);
      }
    },
    pinLevel: (pin) => board.pins.level(pin),
    close: async () => board.powerCut(),
  };
  return target;
}
