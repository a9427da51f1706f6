/**
 * An emulated Arduino Uno beside the virtual boards, with a potentiometer at A0 and a thermometer at A1. Its serial port is a TCP port, as a
 * serial device server gives it; the gateway opens it as `tcp://127.0.0.1:PORT` and speaks Firmata there.
 */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { parseIntelHex } from "../../boards/simulators/uno/intel-hex.ts";
import { FLASH_BYTES } from "../../boards/simulators/uno/machine.ts";
import type { AnalogSource } from "../../boards/simulators/virtual/pins.ts";
import { abandonOnExit, bytesRing } from "../exports/lockfree.ts";
import { codeFile } from "../io/code-file.ts";
import type { ByteStream, Clock, Network } from "../io/seams.ts";
import { note } from "./output.ts";
import { receiveUno, UnoSender, type UnoWires, WIRE_BYTES } from "./uno-wires.ts";

const ANALOG_MS = 100;
/** Somebody turns the knob slowly to and fro. */
const KNOB_PERIOD_S = 40;
/** A TMP36 gives 0.5 V at 0 degrees and 10 mV a degree; the ADC's full scale is 5 V. */
const TMP36_ZERO_SHARE = 0.5 / 5;
const TMP36_SHARE_A_DEGREE = 0.01 / 5;
const LED = 13;

export interface UnoBoardOptions {
  /** Intel HEX of the sketch, StandardFirmata. */
  readonly hex: string;
  readonly port: number;
  /** Degrees Celsius of the air; NaN where nobody knows. */
  readonly celsius: (uptimeUs: number) => number;
  readonly network: Network;
  readonly clock: Clock;
}

export interface UnoBoard {
  /** Of the LED on the board, as the processor drives it. */
  readonly led: 0 | 1;
  /** Nothing more comes from it: the line is cut on its way out. */
  mute(): void;
  close(): Promise<void>;
}

/** What hangs at its pins, for tardigrade.yaml. */
export const UNO_COMPONENTS = [
  "{ name: potentiometer, kind: sensor, analog: 0, unit: '%', everyMs: 500 }",
  "{ name: temperature, kind: thermometer, analog: 1, controller: TMP36, everyMs: 2000 }",
  "{ name: button, kind: button, pin: 2, pullup: true }",
  `{ name: led, kind: led, pin: ${LED} }`,
];

export async function openUnoBoard(options: UnoBoardOptions): Promise<UnoBoard> {
  const { clock, network, port, celsius } = options;
  const flash = parseIntelHex(await readFile(options.hex, "utf8"), FLASH_BYTES);
  const [toBoard, fromBoard] = [
    bytesRing({ capacityBytes: WIRE_BYTES }),
    bytesRing({ capacityBytes: WIRE_BYTES }),
  ];
  const wires: UnoWires = { flash, toBoard: toBoard.handle, fromBoard: fromBoard.handle };
  const worker = new Worker(codeFile("uno-worker", import.meta.url), { workerData: wires });
  worker.on("error", ({ message }) => note(`The emulated Uno stopped: ${message}`));
  abandonOnExit(worker, fromBoard, "producer");
  abandonOnExit(worker, toBoard, "consumer");
  const sender = new UnoSender(toBoard.producer());
  let stream: ByteStream | undefined;
  let led: 0 | 1 = 0;
  let isMuted = false;
  const listening = receiveUno(fromBoard.consumer(), (message) => {
    // A wire without a listener loses what is sent on it.
    if (message.type === "serial" && !isMuted) stream?.write(message.bytes);
    if (message.type === "output" && message.pin === LED) led = message.level;
  }).catch(() => undefined);
  // Pressed by nobody: the pull-up holds it up.
  const startMs = clock.monotonicMs();
  let cancel = (): void => {};
  const turn = (): void => {
    const uptimeS = (clock.monotonicMs() - startMs) / 1000;
    sender.send({
      type: "analog",
      channel: 0,
      share: 0.5 + 0.4 * Math.sin((2 * Math.PI * uptimeS) / KNOB_PERIOD_S),
    });
    const degrees = celsius(uptimeS * 1e6);
    if (!Number.isNaN(degrees)) {
      sender.send({ type: "analog", channel: 1, share: TMP36_ZERO_SHARE + TMP36_SHARE_A_DEGREE * degrees });
    }
    cancel = clock.alarm(ANALOG_MS, turn);
  };
  turn();
  const server = await network.listen({ host: "127.0.0.1", port }, (connected) => {
    stream?.close();
    stream = connected;
    connected.onData((bytes) => sender.send({ type: "serial", bytes }));
    connected.onClose(() => {
      if (stream === connected) stream = undefined;
    });
  });
  return {
    get led() {
      return led;
    },
    mute: () => {
      isMuted = true;
    },
    close: async () => {
      cancel();
      stream?.close();
      await server.close();
      await worker.terminate();
      await listening;
    },
  };
}

/** Degrees of the weather that the virtual boards replay on channel 0, whose scale is theirs. */
export function celsiusOf(
  source: AnalogSource,
  scale: { readonly low: number; readonly high: number } | undefined,
): (uptimeUs: number) => number {
  if (scale === undefined) return () => Number.NaN;
  return (uptimeUs) => scale.low + source(0, uptimeUs) * (scale.high - scale.low);
}
