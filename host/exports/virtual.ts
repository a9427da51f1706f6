/** tardigrade/virtual: virtual boards for tests of firmware, in real or simulated time. */
export {
  type BoardClock,
  type BoardFigures,
  type BoardImage,
  type BoardLink,
  VirtualBoard,
  type VirtualBoardOptions,
} from "../../boards/simulators/virtual/board.ts";
export { MqttLink, type MqttLinkOptions } from "../../boards/simulators/virtual/mqtt-link.ts";
export type { AnalogSource, VirtualPins } from "../../boards/simulators/virtual/pins.ts";
export { type Channel, readColumn, replay } from "../../boards/simulators/virtual/replay.ts";
export { type BuiltApp, buildApp, buildSystem } from "../../boards/toolchain/build.ts";
export { systemClock } from "../io/clock.ts";
export { SimulatedClock } from "../world/clock.ts";
