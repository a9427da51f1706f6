// Generated from protocols/table.ts by `npm run generate`. Do not edit.

export const MESSAGE_BYTES_MAX: i32 = 1280;
export const FRAME_HEADER_BYTES: i32 = 9;
export const FRAME_CRC_BYTES: i32 = 4;
export const FRAME_BYTES_MAX: i32 = 1293;
export const FRAME_ENCODED_BYTES_MAX: i32 = 1301;
export const LINK_WINDOW_FRAMES: i32 = 8;
export const MESSAGE_WINDOW_MAX: i32 = 32;
export const CBOR_DEPTH_MAX: i32 = 3;
export const CBOR_SKIP_DEPTH_MAX: i32 = 8;
export const READINGS_MAX: i32 = 32;
export const METRICS_MAX: i32 = 16;
export const METRIC_NAME_BYTES_MAX: i32 = 24;
export const UNIT_BYTES_MAX: i32 = 8;
export const COMMANDS_MAX: i32 = 8;
export const COMMAND_ARGS_MAX: i32 = 8;
export const SHADOW_ENTRIES_MAX: i32 = 16;
export const HISTOGRAM_BYTES_MAX: i32 = 512;
export const PINS_MAX: i32 = 32;
export const NAME_BYTES_MAX: i32 = 24;
export const TEXT_VALUE_BYTES_MAX: i32 = 48;
export const CRASH_LOG_MAX: i32 = 12;
export const LOG_BYTES_MAX: i32 = 160;
export const DEVICE_ID_BYTES_MAX: i32 = 31;
export const SEQUENCE_RESERVE: i32 = 1024;
