/**
 * Emulated Picos beside the virtual boards: native firmware from a flash image, at the pace of the clock. The UART of each is a TCP port, as
 * a serial device server gives it; the gateway opens it as `tcp://127.0.0.1:PORT`.
 */
import { readFile } from "node:fs/promises";
import { PicoBoard } from "../../boards/simulators/pico/board.ts";
import { RealTimePico } from "../../boards/simulators/pico/real-time.ts";
import type { AnalogSource } from "../../boards/simulators/virtual/pins.ts";
import type { ByteStream, Clock, Network, Random } from "../io/seams.ts";
import { UartSniffer } from "./uart-sniffer.ts";

export interface PicoBoardsOptions {
  /** Flash image, or the beginning of one. */
  readonly image: string;
  /** A TCP port for each board, on loopback. */
  readonly ports: readonly number[];
  readonly analog: (index: number) => AnalogSource;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
}

export interface PicoFigures {
  readonly boards: number;
  readonly connected: number;
  readonly produced: number;
  readonly dropped: number;
  readonly held: number;
  readonly traps: number;
}

export interface PicoBoards {
  figures(): PicoFigures;
  /** Stops each board as soon as all that it said is acknowledged. */
  pause(): void;
  close(): Promise<void>;
}

class AttachedPico {
  readonly sniffer = new UartSniffer();
  readonly #pico: RealTimePico;
  #stream: ByteStream | undefined;
  #pausing = false;

  constructor(flash: Uint8Array, analog: AnalogSource, options: PicoBoardsOptions) {
    const board = new PicoBoard({
      flash,
      analog,
      seed: options.random.u32(),
      onUart: (uart, bytes) => {
        if (uart !== 0) return;
        this.sniffer.up(bytes);
        // A wire without a listener loses what is sent on it.
        this.#stream?.write(bytes);
      },
    });
    this.#pico = new RealTimePico(board, options.clock);
    this.#pico.powerOn();
  }

  attach(stream: ByteStream): void {
    this.#stream?.close();
    this.#stream = stream;
    stream.onData((bytes) => {
      this.sniffer.down(bytes);
      this.#pico.receiveUart(0, bytes);
      this.#freezeWhenDrained();
    });
    stream.onClose(() => {
      if (this.#stream === stream) this.#stream = undefined;
    });
  }

  pause(): void {
    this.#pausing = true;
    this.#freezeWhenDrained();
  }
  #freezeWhenDrained(): void {
    if (this.#pausing && this.sniffer.isOpen && this.sniffer.held === 0) this.#pico.freeze();
  }
  close(): void {
    this.#pico.freeze();
    this.#stream?.close();
  }
}

export async function openPicoBoards(options: PicoBoardsOptions): Promise<PicoBoards> {
  const flash = new Uint8Array(await readFile(options.image));
  const boards: AttachedPico[] = [];
  const servers: { close(): Promise<void> }[] = [];
  for (const [index, port] of options.ports.entries()) {
    const board = new AttachedPico(flash, options.analog(index), options);
    servers.push(await options.network.listen({ host: "127.0.0.1", port }, (stream) => board.attach(stream)));
    boards.push(board);
  }
  return {
    figures: () => {
      const sum = { boards: boards.length, connected: 0, produced: 0, dropped: 0, held: 0, traps: 0 };
      for (const { sniffer } of boards) {
        sum.connected += sniffer.isOpen ? 1 : 0;
        sum.produced += sniffer.produced;
        sum.dropped += sniffer.dropped;
        sum.held += sniffer.held;
        sum.traps += sniffer.traps;
      }
      return sum;
    },
    pause: () => {
      for (const board of boards) board.pause();
    },
    close: async () => {
      for (const board of boards) board.close();
      for (const server of servers) await server.close();
    },
  };
}
