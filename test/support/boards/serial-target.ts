/** A real board on a serial port, flashed with the conformance app; a reset is the reset of its serial adapter, where it has one. */
import { SerialPort } from "serialport";
import type { TargetBoard } from "./target.ts";

const STEP_MS = 2;
const PATIENCE_MS = 60_000;

export async function serialTarget(path: string): Promise<TargetBoard> {
  const port = new SerialPort({ path, baudRate: 115_200, autoOpen: false });
  const startedMs = performance.now();
  const target: TargetBoard = {
    name: "serial",
    patienceMs: PATIENCE_MS,
    onBytes: () => {},
    write: (bytes) => {
      port.write(Buffer.from(bytes));
    },
    powerOn: async () => {
      port.on("data", (bytes: Buffer) => target.onBytes(bytes));
      await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
    },
    powerCut: async () => {},
    reset: async () => {
      await new Promise<void>((resolve) => port.set({ dtr: false, rts: true }, () => resolve()));
      await new Promise<void>((resolve) => port.set({ dtr: true, rts: false }, () => resolve()));
    },
    nowMs: () => performance.now() - startedMs,
    run: async (ms, until) => {
      const endMs = target.nowMs() + ms;
      while (target.nowMs() < endMs && !until?.())
        await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    },
    pinLevel: () => undefined,
    close: () => new Promise((resolve) => port.close(() => resolve())),
  };
  return target;
}
