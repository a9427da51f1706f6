/**
 * What the system asks of a board: the WIT world `firmware` (protocols/wit/firmware.wit) as host imports. Statuses are 0
 * or the negative of an error code. Addresses are in the system's memory unless the name says `app`.
 */

/** Microseconds since boot; never goes back. */
export declare function hal_now_us(): u64;
/** 32 unguessable-enough bits; seeded on the virtual board. */
export declare function hal_random(): u32;
/** Index into RESET_REASONS. */
export declare function hal_reset_reason(): u32;
/** Bit set of CAPABILITIES that the app's manifest declares. */
export declare function hal_capabilities(): u32;
/** Text about the image: 0 board, 1 app, 2 version. Returns its length, at most `capacity`. */
export declare function hal_identity(which: u32, ptr: usize, capacity: i32): i32;

/** 0: whole messages (MQTT). 1: a stream of bytes (serial), which the system frames. */
export declare function hal_link_kind(): u32;
/** Bytes of a stream that hal_link_send would take now. */
export declare function hal_link_room(): u32;
/** A whole message, or bytes of a frame. LINK_DOWN or QUEUE_FULL when it cannot take them now. */
export declare function hal_link_send(ptr: usize, length: i32): i32;

/** A number in the wear-levelled flash journal, 0 when never written. Keys: 1 boot counter, 2 reserved sequence, 3 and 4 a loss to state. */
export declare function hal_journal_read(key: u32): u64;
/** Durable when it returns 0. */
export declare function hal_journal_write(key: u32, value: u64): i32;
/** 1 when the journal needs an erased sector soon: some 45 ms without interrupts, which hal_journal_prepare() takes. */
export declare function hal_journal_due(): u32;
export declare function hal_journal_prepare(): void;
/** Bytes of RAM that survive a warm reset, at `retained_base` of the system's memory. */
export declare function hal_retained_bytes(): u32;
/** A failure of the base itself that made it restart, told once: 0 for none, else TRAP_KINDS + 256 in the upper half, address below. */
export declare function hal_panic(): u64;

/** Copies between the app's arena and the system's memory; ARENA_RANGE when the app's range is not inside its arena. */
export declare function hal_app_read(app: usize, ptr: usize, length: i32): i32;
export declare function hal_app_write(app: usize, ptr: usize, length: i32): i32;
/** What the last trap of the app was: TRAP_KINDS in the upper half, address in the app's image below (0 where there is none). */
export declare function hal_app_trap(): u64;
/** Calls into the app; APP_TRAP when it trapped, after which the board has restarted nothing yet. */
export declare function hal_app_setup(): i32;
export declare function hal_app_timer(id: u32): i32;
export declare function hal_app_command(app: usize, length: i32): i32;
export declare function hal_app_shadow(app: usize, length: i32): i32;

/** Modes: 0 off, 1 input, 2 output, 3 PWM. PIN_INVALID where the board has no such pin or mode. */
export declare function hal_pin_mode(pin: u32, mode: u32): i32;
export declare function hal_pin_write(pin: u32, value: u32): i32;
/** Level, or the negative of a code. */
export declare function hal_pin_read(pin: u32): i32;
/** Share of full scale, 0 to 65535, or the negative of a code. */
export declare function hal_adc_read(channel: u32): i32;
