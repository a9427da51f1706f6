/** Boards of a ring as emulated Picos that run the flash image. */
import { PicoBoard } from "../../../boards/simulators/pico/board.ts";
import { buildRaft } from "../../../boards/toolchain/native/raft-image.ts";
import { PICO } from "../boards/pico-target.ts";
import type { RingBoards } from "./board.ts";

const STRAPS = [2, 3] as const;
const BUTTON = 6;
const LAMP = 7;

export async function emulatedBoards(app: string): Promise<RingBoards> {
  const { bytes, arenaAddress, journal, module } = await buildRaft(PICO, app);
  const flash = new Uint8Array(PICO.flash.bytes).fill(0xff);
  flash.set(bytes);
  const arena = arenaAddress - PICO.ram.address;
  return {
    module,
    make: ({ id, seed, onBytes, onFlashOperation }) => {
      const pico = new PicoBoard({ flash, seed, onUart: onBytes, onFlashOperation });
      STRAPS.forEach((pin, bit) => {
        pico.pins.drive(pin, (((id - 1) >> bit) & 1) as 0 | 1);
      });
      let isUp = false;
      return {
        get isOn() {
          return pico.isPowered;
        },
        powerOn: () => {
          isUp = false;
          pico.powerOn();
        },
        powerCut: () => pico.powerCut(),
        advance: (us) => pico.advance(us),
        receive: (link, data) => void pico.receiveUart(link, data),
        press: (isPressed) => pico.pins.drive(BUTTON, isPressed ? 1 : 0),
        lamp: () => pico.pins.level(LAMP),
        memory: () => {
          // Between instructions anything may be half done; asleep it is not. RAM is noise until the LED's pin is set up.
          isUp ||= pico.pins.mode(LAMP) === "output";
          if (!isUp || !(pico.nextEventUs() > pico.nowUs)) return undefined;
          return new DataView(pico.ramImage(arena, arena + module.memoryBytes).buffer);
        },
        journal: () => pico.flashImage(journal.offset, journal.offset + journal.bytes),
        setJournal: (area) => {
          const image = pico.flashImage();
          image.set(area, journal.offset);
          pico.flashWrite(image);
        },
      };
    },
  };
}
