// Generated from protocols/table.ts by `npm run generate`. Do not edit.

export const STATUS_OK: i32 = 0;

/** A frame ended before its header and CRC; the line dropped bytes. */
export const FRAME_SHORT: i32 = 100;
/** A frame is not valid COBS; the line corrupted or dropped bytes. */
export const FRAME_COBS: i32 = 101;
/** A frame's CRC-32 does not match; the line corrupted bytes. */
export const FRAME_CRC: i32 = 102;
/** A frame is longer than the protocol allows; the sender speaks something else. */
export const FRAME_OVERSIZE: i32 = 103;
/** A frame has an unknown version or type; update the older side. */
export const FRAME_TYPE: i32 = 104;
/** A message ends inside an item. */
export const CBOR_TRUNCATED: i32 = 110;
/** A number or length is not in its shortest form; the sender's codec is not deterministic. */
export const CBOR_NONCANONICAL: i32 = 111;
/** A field has another type than the schema says. */
export const CBOR_TYPE: i32 = 112;
/** A number, text or list is beyond the field's bound. */
export const CBOR_RANGE: i32 = 113;
/** A map's keys are not in ascending order, or one stands twice. */
export const CBOR_KEY_ORDER: i32 = 114;
/** A text is not valid UTF-8. */
export const CBOR_UTF8: i32 = 115;
/** A message nests deeper than the protocol allows. */
export const CBOR_DEPTH: i32 = 116;
/** Bytes follow the end of a message. */
export const CBOR_TRAILING: i32 = 117;
/** A message has more items than the reader has room for. */
export const CBOR_TOKENS: i32 = 118;
/** A message is longer than MESSAGE_BYTES_MAX. */
export const MESSAGE_OVERSIZE: i32 = 120;
/** A message has a kind this side does not know; update the older side. */
export const MESSAGE_KIND: i32 = 121;
/** A message lacks a field that its kind requires. */
export const MESSAGE_FIELD: i32 = 122;
/** The output buffer is too small for the message. */
export const MESSAGE_SPACE: i32 = 123;
/** The device speaks another major version of the protocol; update the older side. */
export const PROTOCOL_VERSION: i32 = 130;
/** The app used something that its manifest does not declare. */
export const CAPABILITY_DENIED: i32 = 200;
/** The app passed memory outside its arena. */
export const ARENA_RANGE: i32 = 201;
/** A fixed pool (timers, metrics, commands, shadow keys) is full. */
export const POOL_FULL: i32 = 202;
/** An argument is outside its range. */
export const ARGUMENT: i32 = 203;
/** This call is allowed only inside setup(). */
export const SETUP_ONLY: i32 = 204;
/** The ring of unacknowledged messages was full; its oldest were dropped. */
export const RING_OVERFLOW: i32 = 205;
/** The app trapped; it was restarted. */
export const APP_TRAP: i32 = 206;
/** The device has no command of that name. */
export const COMMAND_UNKNOWN: i32 = 207;
/** The device's command handler reported a failure. */
export const COMMAND_FAILED: i32 = 208;
/** The board has no such pin, or not in that mode. */
export const PIN_INVALID: i32 = 209;
/** A reading did not fit the batch; send the batch first. */
export const BATCH_FULL: i32 = 210;
/** The device lost power; readings not acknowledged before are gone. */
export const POWER_CUT: i32 = 211;
/** The link is down; messages wait in the ring. */
export const LINK_DOWN: i32 = 212;
/** The flash journal could not be read or written. */
export const JOURNAL_FAILED: i32 = 213;
/** The base failed and restarted the board; the detail holds kind and address. Please report it. */
export const BOARD_PANIC: i32 = 215;
/** A sensor reading is outside its plausible range. */
export const SENSOR_RANGE: i32 = 214;
/** The app failed again and again and is left stopped; the command restart-app, an update or a power cycle starts it. */
export const APP_ISOLATED: i32 = 216;
/** The board restarted with its RAM kept; the record tells why, and what went wrong before. */
export const RESTARTED: i32 = 217;
/** Part of the crash log was damaged over a restart and left out; the detail holds how many entries. */
export const CRASH_LOG_DAMAGED: i32 = 218;
/** A message came before its device's hello; hello was asked for. */
export const SESSION_UNKNOWN: i32 = 300;
/** A message came before one that precedes it; a resend was asked for. */
export const SEQUENCE_GAP: i32 = 301;
/** A drop record covers messages that are already stored. */
export const DROP_OVERLAP: i32 = 302;
/** A message belongs to a boot that is over. */
export const BOOT_STALE: i32 = 303;
/** A device id must match [a-z0-9][a-z0-9-]{0,30} and not be `bridge`. */
export const DEVICE_ID_INVALID: i32 = 304;
/** No device of that id has said hello to this gateway. */
export const DEVICE_UNKNOWN: i32 = 305;
/** Another gateway of the site serves this device; ask the one that the error names. */
export const DEVICE_ELSEWHERE: i32 = 320;
/** A client wrote to a topic that belongs to another device. */
export const TOPIC_FOREIGN: i32 = 306;
/** A topic does not follow tardi/<site>/<device>/<channel>. */
export const TOPIC_INVALID: i32 = 307;
/** A bounded queue is full; the sender will repeat. */
export const QUEUE_FULL: i32 = 308;
/** The device did not answer a command in time. */
export const COMMAND_TIMEOUT: i32 = 309;
/** The device answered a command with an error. */
export const COMMAND_REJECTED: i32 = 310;
/** A shadow value must be a boolean, a finite number or a short text. */
export const SHADOW_INVALID: i32 = 311;
/** The shadow changed meanwhile; read it and try again. */
export const SHADOW_VERSION: i32 = 312;
/** A request does not match its schema. */
export const REQUEST_INVALID: i32 = 313;
/** No such request. */
export const REQUEST_UNKNOWN: i32 = 314;
/** A device lost power with readings unacknowledged; the range is recorded. */
export const POSSIBLE_GAP: i32 = 315;
/** The gateway holds as many devices as its limit allows. */
export const DEVICE_LIMIT: i32 = 316;
/** The downstream broker is not taking messages; they wait in the log. */
export const FORWARD_BLOCKED: i32 = 317;
/** A payload is longer than its channel allows. */
export const PAYLOAD_OVERSIZE: i32 = 318;
/** A device's histogram does not add up; it is kept in the log and counted nowhere. Update the device. */
export const HISTOGRAM_INVALID: i32 = 319;
/** The segment log is damaged below the synced offset; restore a backup. */
export const LOG_CORRUPT: i32 = 400;
/** An unsynced tail was cut at the last start; nothing acknowledged was in it. */
export const LOG_TORN_TAIL: i32 = 401;
/** Another process holds this data folder; stop it or choose another folder. */
export const LOG_LOCKED: i32 = 402;
/** The disk is full; acknowledgements stop until there is room. Free space. */
export const DISK_FULL: i32 = 403;
/** A sync failed; what was written may be lost. The process ends. */
export const DISK_SYNC: i32 = 404;
/** A read or write of the disk failed. */
export const DISK_IO: i32 = 405;
/** The data folder was written by another format version; upgrade or restore. */
export const FORMAT_VERSION: i32 = 406;
/** The state store is unreadable; it is rebuilt from the log. */
export const STATE_CORRUPT: i32 = 407;
/** A record is larger than a segment allows. */
export const RECORD_OVERSIZE: i32 = 408;
/** The backup file is damaged or not a backup. */
export const BACKUP_INVALID: i32 = 409;
/** The changes from that revision on are no longer kept; read the keys, and watch from the revision of that read. */
export const KV_COMPACTED: i32 = 440;
/** A watcher did not take its events in time and was ended; watch again from the revision that it says. */
export const KV_WATCH_SLOW: i32 = 441;
/** There are as many watchers as one machine allows; close one, or watch at another gateway. */
export const KV_WATCHERS_FULL: i32 = 442;
/** A snapshot of the key-value machine is cut, damaged or of another machine; nothing was changed. Fetch it again. */
export const KV_SNAPSHOT: i32 = 443;
/** The key-value store keeps the cluster's own entries under keys that begin with $; choose another key. */
export const KV_RESERVED: i32 = 444;
/** The key-value store did not do what a command asked: its lease is over, or one of the store's bounds is reached. */
export const KV_REFUSED: i32 = 445;
/** The store no longer knows the session, so it cannot tell whether the command was applied; read what is there. */
export const KV_SESSION_EXPIRED: i32 = 446;
/** The configuration does not match its schema. */
export const CONFIG_INVALID: i32 = 500;
/** Another process listens on this port; stop it or choose another port. */
export const PORT_IN_USE: i32 = 501;
/** Listening beyond loopback needs authentication to be configured. */
export const AUTH_REQUIRED: i32 = 502;
/** The MQTT broker cannot be reached; it is tried again. */
export const BROKER_UNREACHABLE: i32 = 503;
/** The request carries no valid token. */
export const UNAUTHORIZED: i32 = 504;
/** No such thing. */
export const NOT_FOUND: i32 = 505;
/** A file cannot be read. */
export const FILE_UNREADABLE: i32 = 506;
/** An optional package is needed for this; install it. */
export const DEPENDENCY_MISSING: i32 = 507;
/** A bug of ours; please report it with the log. */
export const INTERNAL: i32 = 508;
/** The reliability core trapped; it was instantiated again. */
export const CORE_TRAP: i32 = 509;
/** No gateway answers at this address; start one or name another. */
export const GATEWAY_UNREACHABLE: i32 = 510;
/** The role of whoever asks does not allow this. */
export const FORBIDDEN: i32 = 511;
/** The file of users, tokens and devices is damaged; restore it from a backup or remove it. */
export const ACCESS_INVALID: i32 = 512;
/** The other side told an error that this version does not know; update this side. Its name and number are kept. */
export const ERROR_UNKNOWN: i32 = 513;
/** The other side of a connection cannot be reached; it is tried again. */
export const CONNECTION_FAILED: i32 = 520;
/** Firmware did on an emulated board what real silicon would not have let pass; the message names address and pc. */
export const BOARD_STRICT: i32 = 530;
/** The board's flash begins with no valid second-stage boot loader; flash an image. */
export const BOARD_NO_BOOT: i32 = 531;
/** A UF2 file is torn, for another board, or no UF2; the flash is untouched. */
export const UF2_INVALID: i32 = 532;
/** A serial port cannot be opened; check cable, path, rights and whether another program holds it. */
export const SERIAL_OPEN: i32 = 540;
/** A serial port went away; it is opened again when it is back. */
export const SERIAL_LOST: i32 = 541;
/** No whole frame came over a serial port for too long; it is closed and opened again. */
export const SERIAL_SILENT: i32 = 542;
/** The machine's serial ports cannot be listed. */
export const SERIAL_LIST: i32 = 543;
/** A plugin is no component of the plugin world, or is too large; the message says what is wrong. */
export const PLUGIN_INVALID: i32 = 550;
/** A plugin trapped on a message; that message was left out. */
export const PLUGIN_TRAP: i32 = 551;
/** A plugin took too long for a message; it was ended and started anew, that message was left out. */
export const PLUGIN_TIMEOUT: i32 = 552;
/** A plugin wanted more memory than its limit; that message was left out. */
export const PLUGIN_MEMORY: i32 = 553;
/** A plugin answered what is no reading, report or publish; that message was left out. */
export const PLUGIN_OUTPUT: i32 = 554;
/** What is at a serial port does not speak Firmata; flash StandardFirmata, or mend the baud rate. */
export const FIRMATA_HANDSHAKE: i32 = 545;
/** A component cannot be at that pin of the board; the others go on. Mend its pin in the configuration. */
export const FIRMATA_COMPONENT: i32 = 546;
/** A Firmata board sent what cannot be read; that was left out. */
export const FIRMATA_DATA: i32 = 547;
/** A plugin could not read a message; its reason is told. */
export const PLUGIN_REFUSED: i32 = 555;
/** A plugin failed again and again and is left out; it is tried again later, and after a restart of the gateway. */
export const PLUGIN_ISOLATED: i32 = 556;
/** The drive of the board's boot loader is missing, is another board's, or cannot be written. */
export const FLASH_DRIVE: i32 = 544;
/** The compiler refused the app; its messages say where. */
export const BUILD_FAILED: i32 = 600;
/** A function uses a variable of the function around it; make that variable a top-level `let`. */
export const BUILD_CLOSURE: i32 = 601;
/** A callback reaches the allocator; create objects in setup() and reuse them. */
export const BUILD_ALLOCATION: i32 = 602;
/** An import cannot be found on a device. */
export const BUILD_IMPORT: i32 = 603;
/** A type does not exist in AssemblyScript. */
export const BUILD_TYPE: i32 = 604;
/** The app calls something that its manifest does not declare. */
export const BUILD_CAPABILITY: i32 = 605;
/** No such board. */
export const BUILD_BOARD: i32 = 606;
/** The app does not fit the board. */
export const BUILD_SIZE: i32 = 607;
/** The app's manifest is missing or wrong. */
export const BUILD_MANIFEST: i32 = 608;
/** The circuit breaker is open; the call was not made. */
export const BREAKER_OPEN: i32 = 700;
/** Every attempt failed. */
export const RETRIES_EXHAUSTED: i32 = 701;
/** The rate limit is used up; retry after the time given. */
export const RATE_LIMITED: i32 = 702;
/** The call did not finish in time. */
export const TIMED_OUT: i32 = 703;
/** A remote clock is further ahead than the drift bound; its stamp was refused. */
export const CLOCK_DRIFT: i32 = 704;
/** As many calls as allowed are under way and the queue is full; try again later. */
export const BULKHEAD_FULL: i32 = 705;
/** The call gave up its place in the queue to a more important one; try again later. */
export const LOAD_SHED: i32 = 706;
/** Retries have used up their share of the calls; the last failure stands. */
export const RETRY_BUDGET: i32 = 707;
/** Most calls of late were refused by the other side, so this one was not made. */
export const THROTTLED: i32 = 708;
/** The policy was closed; make a new one. */
export const POLICY_CLOSED: i32 = 709;
/** The call failed and no fallback had a value. */
export const NO_FALLBACK: i32 = 710;
/** A bounded structure in shared memory is full; wait for room, or make it larger. */
export const SHARED_FULL: i32 = 800;
/** A structure in shared memory has nothing to give now. */
export const SHARED_EMPTY: i32 = 801;
/** Another thread is in the middle of an operation; try again, and if it lasts, look whether that thread still runs. */
export const SHARED_STALLED: i32 = 802;
/** The other side closed the structure; nothing more comes or is taken. */
export const SHARED_CLOSED: i32 = 803;
/** The thread on the other side ended without closing; what it had not published is lost. */
export const SHARED_PEER_GONE: i32 = 804;
/** The map has no such key. */
export const SHARED_KEY_ABSENT: i32 = 805;
/** No leader is known; try again after an election time. */
export const RAFT_NO_LEADER: i32 = 900;
/** This node does not lead; ask the leader that its status names. */
export const RAFT_NOT_LEADER: i32 = 901;
/** The leader is new and has committed nothing in its term yet; try again in a moment. */
export const RAFT_NOT_READY: i32 = 902;
/** The log has no room until a snapshot lets it be compacted; try again, and see whether a majority still syncs. */
export const RAFT_LOG_FULL: i32 = 903;
/** Leadership is being handed over; ask the new leader in a moment. */
export const RAFT_TRANSFERRING: i32 = 904;
/** Another change of the members is on its way; wait until it is committed. */
export const RAFT_CHANGE_PENDING: i32 = 905;
/** The node that took the command cannot tell whether it was applied; repeat it, in a session under the same sequence. */
export const RAFT_OUTCOME_UNKNOWN: i32 = 907;
/** The state is older than what the log was compacted to; remove this node, and add it again under a new id with an empty folder. */
export const RAFT_STATE_LOST: i32 = 908;
/** This node has stopped taking part; look at its log, and start it again. */
export const RAFT_STOPPED: i32 = 909;
/** Bytes are no message of this cluster's; look what else sends to this port. */
export const RAFT_MESSAGE: i32 = 906;
/** The node at this address belongs to another cluster; correct the address or the cluster's id. */
export const CLUSTER_FOREIGN: i32 = 910;
/** The node at this address has another id than the configuration says; correct one of the two. */
export const NODE_FOREIGN: i32 = 911;
/** A node speaks another version of the protocol between nodes; update the older side. */
export const PEER_VERSION: i32 = 912;
/** A connection between nodes did not begin with a hello and its answer; the other side speaks something else. */
export const PEER_HELLO: i32 = 913;
/** As many nodes are connected as this one takes; connect again later. */
export const PEER_LIMIT: i32 = 914;
/** Nodes listen on loopback only until they prove each other by mutual TLS; give 127.0.0.1 or ::1. */
export const PEER_LOOPBACK: i32 = 915;
/** A gateway with this id lives already, or its lease has not ended yet; give each an id of its own. */
export const MEMBER_TAKEN: i32 = 920;

export const SEVERITY_INFO: u32 = 0;
export const SEVERITY_WARNING: u32 = 1;
export const SEVERITY_ERROR: u32 = 2;
export const SEVERITY_CRITICAL: u32 = 3;
export const SEVERITY_FATAL: u32 = 4;

export const CATEGORY_CODEC: u32 = 0;
export const CATEGORY_DEVICE: u32 = 1;
export const CATEGORY_GATEWAY: u32 = 2;
export const CATEGORY_STORE: u32 = 3;
export const CATEGORY_HOST: u32 = 4;
export const CATEGORY_BUILD: u32 = 5;
export const CATEGORY_POLICY: u32 = 6;
export const CATEGORY_CONCURRENCY: u32 = 7;
export const CATEGORY_CLUSTER: u32 = 8;
export const CATEGORY_COUNT: u32 = 9;

export const RECOVERY_RETRY: u32 = 0;
export const RECOVERY_FALLBACK: u32 = 1;
export const RECOVERY_RESTART: u32 = 2;
export const RECOVERY_ISOLATE: u32 = 3;
export const RECOVERY_DEGRADE: u32 = 4;
export const RECOVERY_ESCALATE: u32 = 5;
export const RECOVERY_IGNORE: u32 = 6;

export const CODE_COUNT: i32 = 152;

/** Numbers rise: number << 6 | severity << 3 | recovery. Inside a function, so that the table is in no image that does not ask. */
export function codeRows(): usize {
  return memory.data<u16>([
    0x190e, 0x194e, 0x198e, 0x19ce, 0x1a0e, 0x1b8e, 0x1bce, 0x1c0e,
    0x1c4e, 0x1c8e, 0x1cce, 0x1d0e, 0x1d4e, 0x1d8e, 0x1e0e, 0x1e4e,
    0x1e8e, 0x1ece, 0x208e, 0x3215, 0x3252, 0x3295, 0x32d6, 0x3315,
    0x334c, 0x339a, 0x33ce, 0x340e, 0x3456, 0x348e, 0x34ce, 0x3500,
    0x355a, 0x358e, 0x35da, 0x361b, 0x3646, 0x368e, 0x4b00, 0x4b48,
    0x4b96, 0x4bce, 0x4c0e, 0x4c4e, 0x4c93, 0x4cce, 0x4d08, 0x4d48,
    0x4d8e, 0x4dce, 0x4e08, 0x4e4e, 0x4e8e, 0x4ece, 0x4f13, 0x4f48,
    0x4f8e, 0x4fce, 0x500d, 0x6425, 0x644e, 0x64a5, 0x64dc, 0x6522,
    0x6558, 0x65a5, 0x65d1, 0x6616, 0x6655, 0x6e09, 0x6e48, 0x6e88,
    0x6ed0, 0x6f16, 0x6f56, 0x6f95, 0x7d25, 0x7d65, 0x7da5, 0x7dd0,
    0x7e0e, 0x7e4e, 0x7e95, 0x7ed5, 0x7f15, 0x7f5a, 0x7f90, 0x7fce,
    0x8025, 0x8055, 0x8208, 0x8495, 0x84d5, 0x8516, 0x8708, 0x8748,
    0x8788, 0x87d5, 0x8815, 0x8848, 0x8895, 0x88ce, 0x8995, 0x89ca,
    0x8a0a, 0x8a4a, 0x8a8e, 0x8ace, 0x8b1b, 0x9615, 0x9655, 0x9695,
    0x96d5, 0x9715, 0x9755, 0x9795, 0x97d5, 0x9815, 0xaf09, 0xaf49,
    0xaf89, 0xafc9, 0xb009, 0xb049, 0xb089, 0xb0c9, 0xb109, 0xb149,
    0xb189, 0xc808, 0xc848, 0xc888, 0xc8c8, 0xc908, 0xc948, 0xe108,
    0xe148, 0xe188, 0xe1c8, 0xe208, 0xe248, 0xe288, 0xe2c8, 0xe315,
    0xe352, 0xe395, 0xe3d5, 0xe415, 0xe456, 0xe490, 0xe4d5, 0xe608,
  ]);
}
