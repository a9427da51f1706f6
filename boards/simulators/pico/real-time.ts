/**
 * An emulated Pico at the pace of a clock: as a real one beside a live gateway. While the processor sleeps nothing runs here; a host that
 * was held up lets the board catch up a little and then lets the rest go, as if the board's crystal had stood still.
 */
import type { BoardClock } from "../virtual/board.ts";
import type { PicoBoard } from "./board.ts";

/** Longest sleep, so that a board that waits for nothing still keeps its time. */
const SLEEP_MS_MAX = 1000;
/** Shortest: timers of the host are no finer. */
const SLEEP_MS_MIN = 1;
/** More than this behind is given up. */
const BEHIND_US_MAX = 200_000;

export class RealTimePico {
  readonly board: PicoBoard;
  readonly #clock: BoardClock;
  /** Clock and board at the last turn. */
  #hostUs = 0;
  #cancel: () => void = () => {};
  #running = false;

  constructor(board: PicoBoard, clock: BoardClock) {
    this.board = board;
    this.#clock = clock;
  }

  powerOn(): void {
    this.board.powerOn();
    this.#running = true;
    this.#hostUs = this.#clock.monotonicMs() * 1000;
    this.#turn();
  }

  /** Stops time; the board stays as it is. */
  freeze(): void {
    this.#running = false;
    this.#cancel();
  }

  receiveUart(uart: 0 | 1, bytes: Uint8Array): void {
    if (!this.#running) return;
    this.board.receiveUart(uart, bytes);
    this.#turn();
  }

  #turn(): void {
    this.#cancel();
    const nowUs = this.#clock.monotonicMs() * 1000;
    const behindUs = Math.min(nowUs - this.#hostUs, BEHIND_US_MAX);
    this.#hostUs = nowUs;
    if (behindUs > 0) this.board.advance(behindUs);
    if (!this.#running) return;
    const sleepMs = (this.board.nextEventUs() - this.board.nowUs) / 1000;
    const delayMs = Math.min(Math.max(sleepMs, SLEEP_MS_MIN), SLEEP_MS_MAX);
    this.#cancel = this.#clock.alarm(delayMs, () => this.#turn());
  }
}
