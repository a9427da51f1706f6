/** tardigrade/protocol: messages, frames and topics, for programs that speak with devices themselves. */
export { errorCodeOf, isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export { errorFromJSON } from "../../protocols/error-from-json.ts";
export { type ErrorJson, type ForeignJson, wireErrorJson } from "../../protocols/error-json.ts";
export {
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameReader,
  type FrameResult,
} from "../../protocols/frame.ts";
export { type Decoded, decodeMessage, encodeMessage } from "../../protocols/message.ts";
export type { Message, Value } from "../../protocols/messages.generated.ts";
export { ERRORS, type ErrorCode, LIMITS } from "../../protocols/table.ts";
export { bridgeTopic, deviceTopic, isDeviceId, parseDeviceTopic, stateTopic } from "../../protocols/topic.ts";
