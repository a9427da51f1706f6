/**
 * The one table of what travels between device and gateway: limits, capabilities, error codes and messages.
 *
 * Both languages take their constants from here: TypeScript imports this file and `messages.generated.ts`,
 * AssemblyScript gets `assembly/errors/codes.generated.ts` and `assembly/codec/schema.generated.ts`. After a change run
 * `npm run generate`; `test/tidy.test.ts` fails while a generated file is stale.
 *
 * Compatibility: numbers are never reused. A new optional field takes a new key and raises the minor version (an old
 * reader skips unknown keys); anything else raises the major version, and hello refuses another major.
 */

export const PROTOCOL_MAJOR = 1;
export const PROTOCOL_MINOR = 3;

/** Every bound that both sides rely on. The unit is the name's end. */
export const LIMITS = {
  /** Longest encoded message in bytes, as MQTT payload or inside a frame. */
  MESSAGE_BYTES_MAX: 1280,
  /** Frame before COBS: header 9, payload, CRC 4. */
  FRAME_HEADER_BYTES: 9,
  FRAME_CRC_BYTES: 4,
  FRAME_BYTES_MAX: 1293,
  /** After COBS: one byte for each 254, one code byte, one delimiter. */
  FRAME_ENCODED_BYTES_MAX: 1301,
  /** Frames in flight on a serial link, and messages in flight before a durable acknowledgement. */
  LINK_WINDOW_FRAMES: 8,
  MESSAGE_WINDOW_MAX: 32,
  /** Deepest nesting in a message: the map, a list in it, a map in that list. */
  CBOR_DEPTH_MAX: 3,
  /** Deepest nesting in the value of an unknown key, which is skipped. */
  CBOR_SKIP_DEPTH_MAX: 8,
  READINGS_MAX: 32,
  METRICS_MAX: 16,
  METRIC_NAME_BYTES_MAX: 24,
  UNIT_BYTES_MAX: 8,
  COMMANDS_MAX: 8,
  COMMAND_ARGS_MAX: 8,
  SHADOW_ENTRIES_MAX: 16,
  /** Longest histogram in a message: its head of 18 bytes, and 2 to 8 for each bucket in use. */
  HISTOGRAM_BYTES_MAX: 512,
  PINS_MAX: 32,
  NAME_BYTES_MAX: 24,
  TEXT_VALUE_BYTES_MAX: 48,
  /** Entries of a crash log: the last errors of a boot, and pairs of code and component that are not among them. */
  CRASH_LOG_MAX: 12,
  LOG_BYTES_MAX: 160,
  DEVICE_ID_BYTES_MAX: 31,
  /** Sequence numbers reserved in the flash journal at a time, so that the journal is written once in so many messages. */
  SEQUENCE_RESERVE: 1024,
} as const;

/** What an app may declare that it uses; bit positions of hello's `capabilities`. */
export const CAPABILITIES = {
  telemetry: 0,
  events: 1,
  log: 2,
  shadow: 3,
  commands: 4,
  pins: 5,
  adc: 6,
} as const;

export type Capability = keyof typeof CAPABILITIES;

export const SEVERITIES = ["info", "warning", "error", "critical", "fatal"] as const;
export type Severity = (typeof SEVERITIES)[number];

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const RESET_REASONS = ["power-on", "software", "watchdog", "trap"] as const;
export type ResetReason = (typeof RESET_REASONS)[number];

/** How an app can trap; the numbers are their places here. `stack` is exhaustion, `memory` an access outside the arena. */
export const TRAP_KINDS = [
  "none",
  "unreachable",
  "memory",
  "integer-overflow",
  "divide-by-zero",
  "invalid-conversion",
  "call-indirect",
  "stack",
] as const;
export type TrapKind = (typeof TRAP_KINDS)[number];

export const CATEGORIES = [
  "codec",
  "device",
  "gateway",
  "store",
  "host",
  "build",
  "policy",
  "concurrency",
  "cluster",
] as const;
export type Category = (typeof CATEGORIES)[number];

/** What to do by default; the names are those of row 1.2 of the specification. */
export const RECOVERIES = [
  "retry",
  "fallback",
  "restart",
  "isolate",
  "degrade",
  "escalate",
  "ignore",
] as const;
export type Recovery = (typeof RECOVERIES)[number];

export interface ErrorRow {
  readonly number: number;
  readonly severity: Severity;
  readonly category: Category;
  readonly recovery: Recovery;
  /** One sentence for people: what happened and what to do. */
  readonly help: string;
}

const codec = (number: number, help: string): ErrorRow => ({
  number,
  severity: "warning",
  category: "codec",
  recovery: "ignore",
  help,
});
const device = (number: number, severity: Severity, recovery: Recovery, help: string): ErrorRow => ({
  number,
  severity,
  category: "device",
  recovery,
  help,
});
const gateway = (number: number, severity: Severity, recovery: Recovery, help: string): ErrorRow => ({
  number,
  severity,
  category: "gateway",
  recovery,
  help,
});
const store = (number: number, severity: Severity, recovery: Recovery, help: string): ErrorRow => ({
  number,
  severity,
  category: "store",
  recovery,
  help,
});
const host = (number: number, severity: Severity, recovery: Recovery, help: string): ErrorRow => ({
  number,
  severity,
  category: "host",
  recovery,
  help,
});
const build = (number: number, help: string): ErrorRow => ({
  number,
  severity: "error",
  category: "build",
  recovery: "escalate",
  help,
});
const policy = (number: number, help: string): ErrorRow => ({
  number,
  severity: "warning",
  category: "policy",
  recovery: "fallback",
  help,
});

const concurrency = (number: number, help: string): ErrorRow => ({
  number,
  severity: "warning",
  category: "concurrency",
  recovery: "retry",
  help,
});

const cluster = (number: number, help: string): ErrorRow => ({
  number,
  severity: "warning",
  category: "cluster",
  recovery: "retry",
  help,
});

/** What nodes of a cluster say when they connect. */
const peer = (number: number, recovery: Recovery, help: string): ErrorRow => ({
  number,
  severity: "error",
  category: "cluster",
  recovery,
  help,
});

/** Stable codes. The name is what hosts show and match on, the number is what travels and what AssemblyScript returns. */
export const ERRORS = {
  FRAME_SHORT: codec(100, "A frame ended before its header and CRC; the line dropped bytes."),
  FRAME_COBS: codec(101, "A frame is not valid COBS; the line corrupted or dropped bytes."),
  FRAME_CRC: codec(102, "A frame's CRC-32 does not match; the line corrupted bytes."),
  FRAME_OVERSIZE: codec(103, "A frame is longer than the protocol allows; the sender speaks something else."),
  FRAME_TYPE: codec(104, "A frame has an unknown version or type; update the older side."),
  CBOR_TRUNCATED: codec(110, "A message ends inside an item."),
  CBOR_NONCANONICAL: codec(
    111,
    "A number or length is not in its shortest form; the sender's codec is not deterministic.",
  ),
  CBOR_TYPE: codec(112, "A field has another type than the schema says."),
  CBOR_RANGE: codec(113, "A number, text or list is beyond the field's bound."),
  CBOR_KEY_ORDER: codec(114, "A map's keys are not in ascending order, or one stands twice."),
  CBOR_UTF8: codec(115, "A text is not valid UTF-8."),
  CBOR_DEPTH: codec(116, "A message nests deeper than the protocol allows."),
  CBOR_TRAILING: codec(117, "Bytes follow the end of a message."),
  CBOR_TOKENS: codec(118, "A message has more items than the reader has room for."),
  MESSAGE_OVERSIZE: codec(120, "A message is longer than MESSAGE_BYTES_MAX."),
  MESSAGE_KIND: codec(121, "A message has a kind this side does not know; update the older side."),
  MESSAGE_FIELD: codec(122, "A message lacks a field that its kind requires."),
  MESSAGE_SPACE: codec(123, "The output buffer is too small for the message."),
  PROTOCOL_VERSION: codec(
    130,
    "The device speaks another major version of the protocol; update the older side.",
  ),

  CAPABILITY_DENIED: device(
    200,
    "error",
    "escalate",
    "The app used something that its manifest does not declare.",
  ),
  ARENA_RANGE: device(201, "error", "restart", "The app passed memory outside its arena."),
  POOL_FULL: device(
    202,
    "error",
    "escalate",
    "A fixed pool (timers, metrics, commands, shadow keys) is full.",
  ),
  ARGUMENT: device(203, "error", "ignore", "An argument is outside its range."),
  SETUP_ONLY: device(204, "error", "escalate", "This call is allowed only inside setup()."),
  RING_OVERFLOW: device(
    205,
    "warning",
    "degrade",
    "The ring of unacknowledged messages was full; its oldest were dropped.",
  ),
  APP_TRAP: device(206, "critical", "restart", "The app trapped; it was restarted."),
  COMMAND_UNKNOWN: device(207, "warning", "ignore", "The device has no command of that name."),
  COMMAND_FAILED: device(208, "warning", "ignore", "The device's command handler reported a failure."),
  PIN_INVALID: device(209, "error", "ignore", "The board has no such pin, or not in that mode."),
  BATCH_FULL: device(210, "warning", "ignore", "A reading did not fit the batch; send the batch first."),
  POWER_CUT: device(
    211,
    "warning",
    "ignore",
    "The device lost power; readings not acknowledged before are gone.",
  ),
  LINK_DOWN: device(212, "info", "retry", "The link is down; messages wait in the ring."),
  JOURNAL_FAILED: device(213, "critical", "restart", "The flash journal could not be read or written."),
  BOARD_PANIC: device(
    215,
    "critical",
    "restart",
    "The base failed and restarted the board; the detail holds kind and address. Please report it.",
  ),
  SENSOR_RANGE: device(214, "warning", "ignore", "A sensor reading is outside its plausible range."),
  APP_ISOLATED: device(
    216,
    "critical",
    "isolate",
    "The app failed again and again and is left stopped; the command restart-app, an update or a power cycle starts it.",
  ),
  RESTARTED: device(
    217,
    "info",
    "ignore",
    "The board restarted with its RAM kept; the record tells why, and what went wrong before.",
  ),
  CRASH_LOG_DAMAGED: device(
    218,
    "warning",
    "ignore",
    "Part of the crash log was damaged over a restart and left out; the detail holds how many entries.",
  ),

  SESSION_UNKNOWN: gateway(
    300,
    "info",
    "retry",
    "A message came before its device's hello; hello was asked for.",
  ),
  SEQUENCE_GAP: gateway(
    301,
    "warning",
    "retry",
    "A message came before one that precedes it; a resend was asked for.",
  ),
  DROP_OVERLAP: gateway(302, "error", "ignore", "A drop record covers messages that are already stored."),
  BOOT_STALE: gateway(303, "warning", "ignore", "A message belongs to a boot that is over."),
  DEVICE_ID_INVALID: gateway(
    304,
    "warning",
    "ignore",
    "A device id must match [a-z0-9][a-z0-9-]{0,30} and not be `bridge`.",
  ),
  DEVICE_UNKNOWN: gateway(305, "warning", "ignore", "No device of that id has said hello to this gateway."),
  DEVICE_ELSEWHERE: gateway(
    320,
    "warning",
    "escalate",
    "Another gateway of the site serves this device; ask the one that the error names.",
  ),
  TOPIC_FOREIGN: gateway(
    306,
    "error",
    "isolate",
    "A client wrote to a topic that belongs to another device.",
  ),
  TOPIC_INVALID: gateway(
    307,
    "warning",
    "ignore",
    "A topic does not follow tardi/<site>/<device>/<channel>.",
  ),
  QUEUE_FULL: gateway(308, "warning", "retry", "A bounded queue is full; the sender will repeat."),
  COMMAND_TIMEOUT: gateway(309, "warning", "retry", "The device did not answer a command in time."),
  COMMAND_REJECTED: gateway(310, "warning", "ignore", "The device answered a command with an error."),
  SHADOW_INVALID: gateway(
    311,
    "warning",
    "ignore",
    "A shadow value must be a boolean, a finite number or a short text.",
  ),
  SHADOW_VERSION: gateway(312, "warning", "retry", "The shadow changed meanwhile; read it and try again."),
  REQUEST_INVALID: gateway(313, "warning", "ignore", "A request does not match its schema."),
  REQUEST_UNKNOWN: gateway(314, "warning", "ignore", "No such request."),
  POSSIBLE_GAP: gateway(
    315,
    "warning",
    "ignore",
    "A device lost power with readings unacknowledged; the range is recorded.",
  ),
  DEVICE_LIMIT: gateway(316, "error", "isolate", "The gateway holds as many devices as its limit allows."),
  FORWARD_BLOCKED: gateway(
    317,
    "warning",
    "retry",
    "The downstream broker is not taking messages; they wait in the log.",
  ),
  PAYLOAD_OVERSIZE: gateway(318, "warning", "ignore", "A payload is longer than its channel allows."),
  HISTOGRAM_INVALID: gateway(
    319,
    "warning",
    "ignore",
    "A device's histogram does not add up; it is kept in the log and counted nowhere. Update the device.",
  ),

  LOG_CORRUPT: store(
    400,
    "fatal",
    "escalate",
    "The segment log is damaged below the synced offset; restore a backup.",
  ),
  LOG_TORN_TAIL: store(
    401,
    "warning",
    "ignore",
    "An unsynced tail was cut at the last start; nothing acknowledged was in it.",
  ),
  LOG_LOCKED: store(
    402,
    "fatal",
    "escalate",
    "Another process holds this data folder; stop it or choose another folder.",
  ),
  DISK_FULL: store(
    403,
    "critical",
    "degrade",
    "The disk is full; acknowledgements stop until there is room. Free space.",
  ),
  DISK_SYNC: store(404, "fatal", "restart", "A sync failed; what was written may be lost. The process ends."),
  DISK_IO: store(405, "critical", "retry", "A read or write of the disk failed."),
  FORMAT_VERSION: store(
    406,
    "fatal",
    "escalate",
    "The data folder was written by another format version; upgrade or restore.",
  ),
  STATE_CORRUPT: store(
    407,
    "error",
    "fallback",
    "The state store is unreadable; it is rebuilt from the log.",
  ),
  RECORD_OVERSIZE: store(408, "error", "ignore", "A record is larger than a segment allows."),
  BACKUP_INVALID: store(409, "error", "escalate", "The backup file is damaged or not a backup."),
  KV_COMPACTED: store(
    440,
    "warning",
    "fallback",
    "The changes from that revision on are no longer kept; read the keys, and watch from the revision of that read.",
  ),
  KV_WATCH_SLOW: store(
    441,
    "warning",
    "retry",
    "A watcher did not take its events in time and was ended; watch again from the revision that it says.",
  ),
  KV_WATCHERS_FULL: store(
    442,
    "warning",
    "retry",
    "There are as many watchers as one machine allows; close one, or watch at another gateway.",
  ),
  KV_SNAPSHOT: store(
    443,
    "error",
    "retry",
    "A snapshot of the key-value machine is cut, damaged or of another machine; nothing was changed. Fetch it again.",
  ),
  KV_RESERVED: store(
    444,
    "error",
    "ignore",
    "The key-value store keeps the cluster's own entries under keys that begin with $; choose another key.",
  ),
  KV_REFUSED: store(
    445,
    "error",
    "ignore",
    "The key-value store did not do what a command asked: its lease is over, or one of the store's bounds is reached.",
  ),
  KV_SESSION_EXPIRED: store(
    446,
    "error",
    "escalate",
    "The store no longer knows the session, so it cannot tell whether the command was applied; read what is there.",
  ),

  CONFIG_INVALID: host(500, "fatal", "escalate", "The configuration does not match its schema."),
  PORT_IN_USE: host(
    501,
    "fatal",
    "escalate",
    "Another process listens on this port; stop it or choose another port.",
  ),
  AUTH_REQUIRED: host(
    502,
    "fatal",
    "escalate",
    "Listening beyond loopback needs authentication to be configured.",
  ),
  BROKER_UNREACHABLE: host(503, "error", "retry", "The MQTT broker cannot be reached; it is tried again."),
  UNAUTHORIZED: host(504, "warning", "ignore", "The request carries no valid token."),
  NOT_FOUND: host(505, "warning", "ignore", "No such thing."),
  FILE_UNREADABLE: host(506, "error", "escalate", "A file cannot be read."),
  DEPENDENCY_MISSING: host(507, "error", "escalate", "An optional package is needed for this; install it."),
  INTERNAL: host(508, "error", "escalate", "A bug of ours; please report it with the log."),
  CORE_TRAP: host(509, "critical", "restart", "The reliability core trapped; it was instantiated again."),
  GATEWAY_UNREACHABLE: host(
    510,
    "error",
    "retry",
    "No gateway answers at this address; start one or name another.",
  ),
  FORBIDDEN: host(511, "warning", "ignore", "The role of whoever asks does not allow this."),
  ACCESS_INVALID: host(
    512,
    "fatal",
    "escalate",
    "The file of users, tokens and devices is damaged; restore it from a backup or remove it.",
  ),
  ERROR_UNKNOWN: host(
    513,
    "error",
    "escalate",
    "The other side told an error that this version does not know; update this side. Its name and number are kept.",
  ),
  CONNECTION_FAILED: host(
    520,
    "warning",
    "retry",
    "The other side of a connection cannot be reached; it is tried again.",
  ),
  BOARD_STRICT: host(
    530,
    "error",
    "escalate",
    "Firmware did on an emulated board what real silicon would not have let pass; the message names address and pc.",
  ),
  BOARD_NO_BOOT: host(
    531,
    "error",
    "escalate",
    "The board's flash begins with no valid second-stage boot loader; flash an image.",
  ),
  UF2_INVALID: host(
    532,
    "error",
    "ignore",
    "A UF2 file is torn, for another board, or no UF2; the flash is untouched.",
  ),
  SERIAL_OPEN: host(
    540,
    "warning",
    "retry",
    "A serial port cannot be opened; check cable, path, rights and whether another program holds it.",
  ),
  SERIAL_LOST: host(541, "warning", "retry", "A serial port went away; it is opened again when it is back."),
  SERIAL_SILENT: host(
    542,
    "warning",
    "retry",
    "No whole frame came over a serial port for too long; it is closed and opened again.",
  ),
  SERIAL_LIST: host(543, "error", "escalate", "The machine's serial ports cannot be listed."),
  PLUGIN_INVALID: host(
    550,
    "error",
    "escalate",
    "A plugin is no component of the plugin world, or is too large; the message says what is wrong.",
  ),
  PLUGIN_TRAP: host(551, "warning", "restart", "A plugin trapped on a message; that message was left out."),
  PLUGIN_TIMEOUT: host(
    552,
    "warning",
    "restart",
    "A plugin took too long for a message; it was ended and started anew, that message was left out.",
  ),
  PLUGIN_MEMORY: host(
    553,
    "warning",
    "restart",
    "A plugin wanted more memory than its limit; that message was left out.",
  ),
  PLUGIN_OUTPUT: host(
    554,
    "warning",
    "ignore",
    "A plugin answered what is no reading, report or publish; that message was left out.",
  ),
  FIRMATA_HANDSHAKE: host(
    545,
    "warning",
    "retry",
    "What is at a serial port does not speak Firmata; flash StandardFirmata, or mend the baud rate.",
  ),
  FIRMATA_COMPONENT: host(
    546,
    "error",
    "escalate",
    "A component cannot be at that pin of the board; the others go on. Mend its pin in the configuration.",
  ),
  FIRMATA_DATA: host(
    547,
    "warning",
    "ignore",
    "A Firmata board sent what cannot be read; that was left out.",
  ),
  PLUGIN_REFUSED: host(555, "warning", "ignore", "A plugin could not read a message; its reason is told."),
  PLUGIN_ISOLATED: host(
    556,
    "critical",
    "isolate",
    "A plugin failed again and again and is left out; it is tried again later, and after a restart of the gateway.",
  ),
  FLASH_DRIVE: host(
    544,
    "error",
    "escalate",
    "The drive of the board's boot loader is missing, is another board's, or cannot be written.",
  ),

  BUILD_FAILED: build(600, "The compiler refused the app; its messages say where."),
  BUILD_CLOSURE: build(
    601,
    "A function uses a variable of the function around it; make that variable a top-level `let`.",
  ),
  BUILD_ALLOCATION: build(602, "A callback reaches the allocator; create objects in setup() and reuse them."),
  BUILD_IMPORT: build(603, "An import cannot be found on a device."),
  BUILD_TYPE: build(604, "A type does not exist in AssemblyScript."),
  BUILD_CAPABILITY: build(605, "The app calls something that its manifest does not declare."),
  BUILD_BOARD: build(606, "No such board."),
  BUILD_SIZE: build(607, "The app does not fit the board."),
  BUILD_MANIFEST: build(608, "The app's manifest is missing or wrong."),

  BREAKER_OPEN: policy(700, "The circuit breaker is open; the call was not made."),
  RETRIES_EXHAUSTED: policy(701, "Every attempt failed."),
  RATE_LIMITED: policy(702, "The rate limit is used up; retry after the time given."),
  TIMED_OUT: policy(703, "The call did not finish in time."),
  CLOCK_DRIFT: policy(704, "A remote clock is further ahead than the drift bound; its stamp was refused."),
  BULKHEAD_FULL: policy(
    705,
    "As many calls as allowed are under way and the queue is full; try again later.",
  ),
  LOAD_SHED: policy(706, "The call gave up its place in the queue to a more important one; try again later."),
  RETRY_BUDGET: policy(707, "Retries have used up their share of the calls; the last failure stands."),
  THROTTLED: policy(708, "Most calls of late were refused by the other side, so this one was not made."),
  POLICY_CLOSED: policy(709, "The policy was closed; make a new one."),
  NO_FALLBACK: policy(710, "The call failed and no fallback had a value."),

  SHARED_FULL: concurrency(
    800,
    "A bounded structure in shared memory is full; wait for room, or make it larger.",
  ),
  SHARED_EMPTY: concurrency(801, "A structure in shared memory has nothing to give now."),
  SHARED_STALLED: concurrency(
    802,
    "Another thread is in the middle of an operation; try again, and if it lasts, look whether that thread still runs.",
  ),
  SHARED_CLOSED: concurrency(803, "The other side closed the structure; nothing more comes or is taken."),
  SHARED_PEER_GONE: concurrency(
    804,
    "The thread on the other side ended without closing; what it had not published is lost.",
  ),
  SHARED_KEY_ABSENT: concurrency(805, "The map has no such key."),

  RAFT_NO_LEADER: cluster(900, "No leader is known; try again after an election time."),
  RAFT_NOT_LEADER: cluster(901, "This node does not lead; ask the leader that its status names."),
  RAFT_NOT_READY: cluster(
    902,
    "The leader is new and has committed nothing in its term yet; try again in a moment.",
  ),
  RAFT_LOG_FULL: cluster(
    903,
    "The log has no room until a snapshot lets it be compacted; try again, and see whether a majority still syncs.",
  ),
  RAFT_TRANSFERRING: cluster(904, "Leadership is being handed over; ask the new leader in a moment."),
  RAFT_CHANGE_PENDING: cluster(
    905,
    "Another change of the members is on its way; wait until it is committed.",
  ),
  RAFT_OUTCOME_UNKNOWN: cluster(
    907,
    "The node that took the command cannot tell whether it was applied; repeat it, in a session under the same sequence.",
  ),
  RAFT_STATE_LOST: peer(
    908,
    "escalate",
    "The state is older than what the log was compacted to; remove this node, and add it again under a new id with an empty folder.",
  ),
  RAFT_STOPPED: peer(
    909,
    "restart",
    "This node has stopped taking part; look at its log, and start it again.",
  ),
  RAFT_MESSAGE: cluster(906, "Bytes are no message of this cluster's; look what else sends to this port."),

  CLUSTER_FOREIGN: peer(
    910,
    "escalate",
    "The node at this address belongs to another cluster; correct the address or the cluster's id.",
  ),
  NODE_FOREIGN: peer(
    911,
    "escalate",
    "The node at this address has another id than the configuration says; correct one of the two.",
  ),
  PEER_VERSION: peer(
    912,
    "escalate",
    "A node speaks another version of the protocol between nodes; update the older side.",
  ),
  PEER_HELLO: peer(
    913,
    "ignore",
    "A connection between nodes did not begin with a hello and its answer; the other side speaks something else.",
  ),
  PEER_LIMIT: peer(914, "retry", "As many nodes are connected as this one takes; connect again later."),
  PEER_LOOPBACK: peer(
    915,
    "escalate",
    "Nodes listen on loopback only until they prove each other by mutual TLS; give 127.0.0.1 or ::1.",
  ),

  MEMBER_TAKEN: cluster(
    920,
    "A gateway with this id lives already, or its lease has not ended yet; give each an id of its own.",
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** Types of a message's fields. `u64` is a bigint in TypeScript; `uint` stays within 2^53 - 1 and is a number. */
export type FieldType = "uint" | "int" | "u64" | "float" | "bool" | "text" | "bytes" | "value" | "list";

export interface Field {
  readonly key: number;
  readonly name: string;
  readonly type: FieldType;
  /** uint: largest value. text, bytes: bytes. list: elements. */
  readonly max?: number;
  readonly optional?: boolean;
  /** Fields of a list's elements, each a map. */
  readonly of?: readonly Field[];
  readonly doc: string;
}

export interface MessageRow {
  readonly kind: number;
  readonly name: string;
  readonly direction: "up" | "down" | "both";
  readonly doc: string;
  readonly fields: readonly Field[];
}

const U32 = 0xffff_ffff;
const SAFE = Number.MAX_SAFE_INTEGER;

const uint = (key: number, name: string, max: number, doc: string): Field => ({
  key,
  name,
  type: "uint",
  max,
  doc,
});
const text = (key: number, name: string, max: number, doc: string): Field => ({
  key,
  name,
  type: "text",
  max,
  doc,
});
const list = (key: number, name: string, max: number, of: readonly Field[], doc: string): Field => ({
  key,
  name,
  type: "list",
  max,
  of,
  doc,
});
const optional = (field: Field): Field => ({ ...field, optional: true });

/** A stamp has the same key in every message that may have one, so high that firmware appends it last, whatever the message. */
const stamp = (doc: string): Field => ({ key: 11, name: "hlc", type: "u64", optional: true, doc });
const stampUp = stamp(
  "The device's hybrid logical clock when it made this; absent until it was told the time.",
);
const stampDown = stamp("The gateway's hybrid logical clock: what a device does from now on is above it.");

/** The head of every sequenced message; a reading's identity is (boot, seq, index). */
const sequenced: readonly Field[] = [
  uint(1, "boot", U32, "Boot counter of the device."),
  uint(2, "seq", U32, "Number of this message in that boot, from 1."),
  uint(3, "uptimeUs", SAFE, "Microseconds since that boot."),
];
const entry: readonly Field[] = [
  text(0, "key", LIMITS.NAME_BYTES_MAX, "Name."),
  { key: 1, name: "value", type: "value", doc: "Boolean, number or text." },
];

export const MESSAGES = [
  {
    kind: 1,
    name: "hello",
    direction: "up",
    doc: "Opens a session: who the device is, which boot this is and where its ring begins.",
    fields: [
      uint(1, "major", 255, "Protocol major version; another one is refused."),
      uint(2, "minor", 255, "Protocol minor version."),
      uint(3, "boot", U32, "Boot counter, one higher at each boot."),
      uint(4, "session", U32, "Chosen anew for each hello; welcome repeats it."),
      uint(5, "uptimeUs", SAFE, "Microseconds since boot at the moment of this hello."),
      uint(6, "oldestBoot", U32, "Boot of the oldest message still held; this boot when none is held."),
      uint(
        7,
        "oldestSeq",
        U32,
        "Sequence number of the oldest message held, or the next to be used when none is held.",
      ),
      text(8, "board", LIMITS.NAME_BYTES_MAX, "Board definition's name."),
      text(9, "app", LIMITS.NAME_BYTES_MAX, "App's name."),
      text(10, "version", LIMITS.NAME_BYTES_MAX, "App's version."),
      uint(11, "reason", RESET_REASONS.length - 1, "Why the device booted; index into RESET_REASONS."),
      uint(12, "capabilities", U32, "Bit set of CAPABILITIES that the app declares."),
      list(
        13,
        "metrics",
        LIMITS.METRICS_MAX,
        [
          text(0, "name", LIMITS.METRIC_NAME_BYTES_MAX, "Metric name."),
          text(1, "unit", LIMITS.UNIT_BYTES_MAX, "Unit, UCUM style."),
        ],
        "Metrics; a reading names one by its index here.",
      ),
      list(
        14,
        "commands",
        LIMITS.COMMANDS_MAX,
        [text(0, "name", LIMITS.NAME_BYTES_MAX, "Command name.")],
        "Commands the app answers.",
      ),
      optional(uint(15, "lostBoot", U32, "A boot whose unacknowledged messages a power cut took.")),
      optional(uint(16, "lostTo", U32, "Highest sequence number that boot may have used.")),
      optional(
        uint(
          17,
          "stopped",
          65535,
          "Why the base leaves the app stopped, a number from ERRORS; absent while it runs.",
        ),
      ),
    ],
  },
  {
    kind: 2,
    name: "welcome",
    direction: "down",
    doc: "Answers hello: what is durable already, and how many messages may be in flight.",
    fields: [
      uint(1, "session", U32, "The hello's session."),
      uint(2, "code", 65535, "0, or the error code that refuses the device."),
      uint(3, "boot", U32, "Boot of the last durable message, 0 when there is none."),
      uint(4, "seq", U32, "Its sequence number."),
      uint(5, "window", LIMITS.MESSAGE_WINDOW_MAX, "Messages in flight before a durable acknowledgement."),
      uint(6, "wallMs", SAFE, "Gateway's wall clock, milliseconds since 1970; 0: it has none to tell."),
      stampDown,
    ],
  },
  {
    kind: 3,
    name: "helloRequest",
    direction: "down",
    doc: "Asks the device to say hello: the gateway started, or knows no session for what it received.",
    fields: [uint(1, "code", 65535, "Why, an error code or 0.")],
  },
  {
    kind: 4,
    name: "telemetry",
    direction: "up",
    doc: "A batch of readings, or what a histogram gathered; then without readings.",
    fields: [
      ...sequenced,
      list(
        4,
        "readings",
        LIMITS.READINGS_MAX,
        [
          uint(0, "metric", LIMITS.METRICS_MAX - 1, "Index into hello's metrics."),
          uint(1, "offsetUs", U32, "Microseconds after the message's uptimeUs."),
          { key: 2, name: "value", type: "float", doc: "The reading." },
        ],
        "Readings, oldest first.",
      ),
      optional(
        uint(
          5,
          "histogramMetric",
          LIMITS.METRICS_MAX - 1,
          "What the histogram is of: index into hello's metrics.",
        ),
      ),
      optional({
        key: 6,
        name: "histogram",
        type: "bytes",
        max: LIMITS.HISTOGRAM_BYTES_MAX,
        doc: "Values recorded since the metric's last histogram; host/core/histogram-bytes.ts draws it.",
      }),
      stampUp,
    ],
  },
  {
    kind: 5,
    name: "event",
    direction: "up",
    doc: "Something that happened, in the app's words.",
    fields: [
      ...sequenced,
      text(4, "name", LIMITS.NAME_BYTES_MAX, "Event name."),
      uint(5, "severity", SEVERITIES.length - 1, "Index into SEVERITIES."),
      { key: 6, name: "value", type: "value", optional: true, doc: "What goes with it." },
      stampUp,
    ],
  },
  {
    kind: 6,
    name: "log",
    direction: "up",
    doc: "A line of the device's log.",
    fields: [
      ...sequenced,
      uint(4, "level", LOG_LEVELS.length - 1, "Index into LOG_LEVELS."),
      text(5, "text", LIMITS.LOG_BYTES_MAX, "The line."),
      stampUp,
    ],
  },
  {
    kind: 7,
    name: "error",
    direction: "up",
    doc: "An error record of the device.",
    fields: [
      ...sequenced,
      uint(4, "code", 65535, "Number from ERRORS."),
      uint(5, "severity", SEVERITIES.length - 1, "Index into SEVERITIES."),
      text(6, "component", LIMITS.NAME_BYTES_MAX, "Part of the firmware."),
      optional(text(7, "operation", LIMITS.NAME_BYTES_MAX, "What it was doing.")),
      optional({ key: 8, name: "detail", type: "int", doc: "A number that helps, such as an address." }),
      uint(9, "count", U32, "How often since boot."),
      optional({ key: 10, name: "trace", type: "bytes", max: 16, doc: "W3C trace id." }),
      stampUp,
      optional(
        list(
          12,
          "before",
          LIMITS.CRASH_LOG_MAX,
          [
            uint(0, "code", 65535, "Number from ERRORS."),
            text(
              1,
              "component",
              LIMITS.NAME_BYTES_MAX,
              "Part of the firmware; empty when it is not known any more.",
            ),
            uint(2, "count", U32, "How often in that boot."),
            uint(3, "uptimeUs", SAFE, "Microseconds since that boot; 0 when the time is not known any more."),
            { key: 4, name: "detail", type: "int", doc: "A number that helps, 0 for none." },
          ],
          "The crash log: errors of the boot before this one, newest first.",
        ),
      ),
    ],
  },
  {
    kind: 8,
    name: "drop",
    direction: "up",
    doc: "States a range of messages that the full ring dropped. It takes the number of the last of them, so the order has no hole.",
    fields: [
      ...sequenced,
      uint(4, "from", U32, "First dropped sequence number; `seq` is the last."),
      uint(5, "readings", U32, "Readings that were in them."),
      stampUp,
    ],
  },
  {
    kind: 9,
    name: "pinStatus",
    direction: "up",
    doc: "State of the pins that the app uses. Not sequenced: the newest counts.",
    fields: [
      uint(1, "boot", U32, "Boot counter of the device."),
      uint(3, "uptimeUs", SAFE, "Microseconds since that boot."),
      list(
        4,
        "pins",
        LIMITS.PINS_MAX,
        [
          uint(0, "pin", 255, "Pin number of the board."),
          uint(1, "mode", 4, "0 off, 1 input, 2 output, 3 PWM, 4 analog."),
          uint(2, "value", 65535, "Level 0 or 1, or a share of full scale."),
        ],
        "Pins in use.",
      ),
    ],
  },
  {
    kind: 10,
    name: "shadow",
    direction: "both",
    doc: "Down: the whole desired state. Up: the whole reported state. Not sequenced: the newest version counts.",
    fields: [
      uint(1, "role", 1, "0 desired, 1 reported."),
      uint(2, "version", U32, "Desired: its version. Reported: the desired version that was applied."),
      list(3, "entries", LIMITS.SHADOW_ENTRIES_MAX, entry, "Names and values."),
      stamp("Of who sends it, as in command and commandResult; a shadow that fills a message has none."),
    ],
  },
  {
    kind: 11,
    name: "command",
    direction: "down",
    doc: "Asks the app to do something once; repeated with the same id until answered or timed out.",
    fields: [
      uint(1, "id", U32, "The gateway's number for it; a device answers a repeated id from memory."),
      text(2, "name", LIMITS.NAME_BYTES_MAX, "Command name."),
      list(3, "args", LIMITS.COMMAND_ARGS_MAX, entry, "Arguments."),
      stampDown,
    ],
  },
  {
    kind: 12,
    name: "commandResult",
    direction: "up",
    doc: "Answers a command.",
    fields: [
      uint(1, "id", U32, "The command's id."),
      uint(2, "code", 65535, "0, or a number from ERRORS."),
      optional({ key: 3, name: "result", type: "value", doc: "What the handler returned." }),
      stampUp,
    ],
  },
  {
    kind: 13,
    name: "durableAck",
    direction: "down",
    doc: "Everything of this boot up to seq is on disk; the device may forget it.",
    fields: [
      uint(1, "boot", U32, "Boot counter."),
      uint(2, "seq", U32, "Cumulative sequence number."),
      optional({
        key: 3,
        name: "resend",
        type: "bool",
        doc: "True: a message is missing, send again from seq + 1.",
      }),
      optional(uint(6, "wallMs", SAFE, "As welcome's, now and then: a device's crystal strays.")),
    ],
  },
  {
    kind: 14,
    name: "linkReceipt",
    direction: "both",
    doc: "Serial links only: frames received in order, and how many more may come. Travels in a control frame, outside the window.",
    fields: [
      uint(1, "session", U32, "Link session that the frame numbers belong to."),
      uint(2, "received", U32, "Cumulative frame number."),
      uint(
        3,
        "credits",
        LIMITS.LINK_WINDOW_FRAMES,
        "Frames the receiver has room for; 0 while its flash is busy.",
      ),
    ],
  },
] as const satisfies readonly MessageRow[];
