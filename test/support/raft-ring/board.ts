/** A board of a ring, whatever runs it: an emulated Pico (emulated.ts), or the module in Node (hosted.ts). */
import type { FlashCut, FlashOperation } from "../../../boards/simulators/pico/flash.ts";
import type { RaftModule } from "../../../boards/toolchain/raft-module.ts";

export interface RingBoard {
  readonly isOn: boolean;
  powerOn(): void;
  powerCut(): void;
  advance(us: number): void;
  /** Bytes that come to a link, each a character time after the other. */
  receive(link: 0 | 1, bytes: Uint8Array): void;
  press(isPressed: boolean): void;
  lamp(): number;
  /** The module's memory, while nothing of it is being changed. */
  memory(): DataView | undefined;
  /** The journal's area of flash, as it is. */
  journal(): Uint8Array;
  /** Damages the journal, with the power off. */
  setJournal(area: Uint8Array): void;
}

export interface RingBoardOptions {
  /** 1 to 3. */
  readonly id: number;
  readonly seed: number;
  /** What left a link while the board was advanced. */
  readonly onBytes: (link: 0 | 1, bytes: Uint8Array) => void;
  /** Asked at each erase and program of the journal; an answer cuts the power. */
  readonly onFlashOperation: (operation: FlashOperation) => FlashCut | undefined;
}
/** Opens boards, whose module says where things are in their memory. */
export interface RingBoards {
  readonly module: RaftModule;
  readonly make: (options: RingBoardOptions) => RingBoard;
}
