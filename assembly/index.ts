export { cobsDecode, cobsEncode } from "./codec/cobs";
export { crc32 } from "./codec/crc32";
export { decodedKind, decodeMessage, encodeMessage } from "./codec/message";
