/**
 * The worker of an emulated Uno (uno-boards.ts): the processor runs here without a pause, so that the boards and the gateway
 * beside it are not held up. Its wires are rings in shared memory (uno-wires.ts).
 */
import { workerData } from "node:worker_threads";
import { UnoMachine } from "../../boards/simulators/uno/machine.ts";
import { runInRealTime } from "../../boards/simulators/uno/real-time.ts";
import { attach } from "../exports/lockfree.ts";
import { systemClock } from "../io/clock.ts";
import { receiveUno, UnoSender, type UnoWires } from "./uno-wires.ts";

/** What the board sends gathers for so long: a message a byte would cost more than the board. */
const GATHER_MS = 2;

const { flash, toBoard, fromBoard } = workerData as UnoWires;
const clock = systemClock();
const sender = new UnoSender(attach(fromBoard).producer());
const gathered: number[] = [];
const machine = new UnoMachine({
  flash,
  onSerial: (byte) => {
    gathered.push(byte);
    if (gathered.length === 1) clock.alarm(GATHER_MS, flush);
  },
  onOutput: (pin, level) => sender.send({ type: "output", pin, level }),
});
function flush(): void {
  sender.send({ type: "serial", bytes: Uint8Array.from(gathered.splice(0)) });
}
runInRealTime(machine, clock);
await receiveUno(attach(toBoard).consumer(), (message) => {
  if (message.type === "serial") machine.receive(message.bytes);
  if (message.type === "analog") machine.setAnalog(message.channel, message.share);
});
