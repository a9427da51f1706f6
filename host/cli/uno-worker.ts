/**
 * The worker of an emulated Uno (uno-boards.ts): the processor runs here without a pause, so that the boards and the gateway
 * beside it are not held up. Messages both ways are UnoMessage.
 */
import { parentPort, workerData } from "node:worker_threads";
import { UnoMachine } from "../../boards/simulators/uno/machine.ts";
import { runInRealTime } from "../../boards/simulators/uno/real-time.ts";
import { systemClock } from "../io/clock.ts";

export type UnoMessage =
  | { readonly type: "serial"; readonly bytes: Uint8Array }
  | { readonly type: "analog"; readonly channel: number; readonly share: number }
  | { readonly type: "output"; readonly pin: number; readonly level: 0 | 1 };

/** What the board sends gathers for so long: a message a byte would cost more than the board. */
const GATHER_MS = 2;

const clock = systemClock();
const port = parentPort;
if (port === null) throw new Error("uno-worker.ts is for a worker.");
const gathered: number[] = [];
const machine = new UnoMachine({
  flash: workerData.flash as Uint8Array,
  onSerial: (byte) => {
    gathered.push(byte);
    if (gathered.length === 1) clock.alarm(GATHER_MS, flush);
  },
  onOutput: (pin, level) => port.postMessage({ type: "output", pin, level } satisfies UnoMessage),
});
function flush(): void {
  const bytes = Uint8Array.from(gathered.splice(0));
  port?.postMessage({ type: "serial", bytes } satisfies UnoMessage);
}
port.on("message", (message: UnoMessage) => {
  if (message.type === "serial") machine.receive(message.bytes);
  if (message.type === "analog") machine.setAnalog(message.channel, message.share);
});
runInRealTime(machine, clock);
