/**
 * The four seams: everything that can fail or differ between two runs stands behind one of these interfaces. The real ones
 * live beside this file, the simulated ones in host/world. Rooms that a world runs (store, gateway, observe) take them by
 * constructor, so one seed replays a run.
 */

import type { Value } from "../../protocols/messages.generated.ts";
import type { ErrorCode } from "../../protocols/table.ts";

/** Ends a subscription, a timer or a listener. Calling it twice does nothing. */
export type Dispose = () => void;

export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Calls once after `delayMs`. The real clock's alarms do not keep the process alive when `background` is set. */
  alarm(delayMs: number, call: () => void, options?: { readonly background?: boolean }): Dispose;
}

export interface Random {
  /** Uniform in [0, 2^32). */
  u32(): number;
  /** Uniform in [0, 1). */
  unit(): number;
  /** Unguessable when real; from the seed when simulated. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

export interface ByteStream {
  /** Queues bytes; false when the queue is above its bound and the caller should wait for onDrain. */
  write(bytes: Uint8Array): boolean;
  onData(listener: (bytes: Uint8Array) => void): Dispose;
  onDrain(listener: () => void): Dispose;
  /** Called once, with the error that ended the stream, if one did. */
  onClose(listener: (error?: Error) => void): Dispose;
  close(): void;
}

export interface Network {
  connect(address: { readonly host: string; readonly port: number }): Promise<ByteStream>;
  /** Port 0 takes a free one. Rejects with PORT_IN_USE. */
  listen(
    address: { readonly host: string; readonly port: number },
    onConnection: (stream: ByteStream) => void,
  ): Promise<{ readonly port: number; close(): Promise<void> }>;
}

/** A serial port of the machine; what is plugged in is told where it is known. */
export interface SerialPortInfo {
  readonly path: string;
  /** A path that stays the same whatever is plugged in first. */
  readonly stablePath?: string;
  readonly manufacturer?: string;
  readonly product?: string;
  /** USB ids, four hex digits in lower case. */
  readonly vendorId?: string;
  readonly productId?: string;
  readonly serialNumber?: string;
}

export interface SerialPorts {
  /** By path. Rejects with SERIAL_LIST or DEPENDENCY_MISSING. */
  list(): Promise<readonly SerialPortInfo[]>;
  /**
   * Opens for this process alone: 8 data bits, no parity, 1 stop bit. A stream ends with SERIAL_LOST when its port goes
   * away and never comes back: call again for a new one. Rejects with SERIAL_OPEN or DEPENDENCY_MISSING.
   */
  open(path: string, options: { readonly baudRate: number }): Promise<ByteStream>;
}

/** Secrets are made here, hashed here, and compared in constant time. Texts in and out; hashes are hexadecimal. */
export interface Secrets {
  /** 256 random bits, 43 characters of base64url. */
  secret(): string;
  /** 32 random bits: names something, hides nothing. */
  id(): string;
  /** SHA-256, for secrets that cannot be guessed. */
  hash(secret: string): string;
  matches(secret: string, hash: string): boolean;
  /** scrypt, for passwords: some 50 ms and 16 MB each. */
  hashPassword(password: string): Promise<HashedPassword>;
  verifyPassword(password: string, known: HashedPassword): Promise<boolean>;
  /** As a line of mosquitto's password file has it: PBKDF2 with SHA-512. */
  mosquittoHash(secret: string): string;
}

export interface HashedPassword {
  readonly salt: string;
  readonly hash: string;
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** A random-access file. Paths are relative to the disk's root, with forward slashes. */
export interface DiskFile {
  sizeBytes(): number;
  /** Reads what is there; shorter than asked at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Into the page cache; durable only after sync(). Throws DISK_FULL or DISK_IO. */
  write(offset: number, bytes: Uint8Array): void;
  /** fdatasync. Rejects with DISK_SYNC, after which nothing written since the last good sync may be trusted. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Opens for reading and writing. Without `create`, a missing file rejects with NOT_FOUND. */
  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile>;
  /** Names in a folder, sorted; an absent folder has none. */
  list(folder: string): Promise<readonly string[]>;
  makeFolder(folder: string): Promise<void>;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Held until release or the process's end. Rejects with LOG_LOCKED. */
  lock(path: string): Promise<{ release(): Promise<void> }>;
}

export interface Meter {
  /** Adds to a counter. Labels must come from small fixed sets. */
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
  gauge(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  /** Records a duration in milliseconds. */
  duration(name: string, ms: number, labels?: Readonly<Record<string, string>>): void;
}

export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A call of a plugin's function; protocols/wit/plugin.wit says what they are. */
export type PluginCall =
  | { readonly kind: "decode"; readonly topic: string; readonly payload: Uint8Array }
  | { readonly kind: "encode"; readonly device: string; readonly state: string; readonly value: Value };

/** A payload decoder of somebody else, shut in. One call at a time: whoever calls waits for the answer. */
export interface PluginRunner {
  /**
   * Resolves with what the plugin answered, which nobody has checked. Rejects with PLUGIN_TRAP, PLUGIN_TIMEOUT, PLUGIN_MEMORY,
   * PLUGIN_OUTPUT (no value of the world's types, or far too much), PLUGIN_REFUSED (the plugin's own error).
   */
  call(call: PluginCall): Promise<unknown>;
  close(): Promise<void>;
}

/** A publish as the gateway sees it. `clientId` is known on the embedded broker only. */
export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  readonly clientId?: string;
  /** Who that is; known where the broker asks for credentials and tells us. */
  readonly sender?: string;
}

/** A publish that a broker refused on behalf of the gateway's topic rules. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly topic: string;
  readonly clientId: string;
}

/**
 * The gateway's view of an MQTT broker: the embedded one in the same process, an external one through a client, or the
 * simulated one.
 */
export interface Broker {
  publish(
    topic: string,
    payload: Uint8Array | string,
    options?: { readonly retain?: boolean; readonly qos?: 0 | 1 },
  ): void;
  /** MQTT filter with + and #. The handler must not throw. */
  subscribe(filter: string, handler: (delivery: Delivery) => void): Promise<Dispose>;
  /** Connection to the broker lost (up=false) or back (up=true); the embedded one is always up. */
  onState(listener: (up: boolean) => void): Dispose;
  /** Publishes refused by the topic rules; a broker that enforces them elsewhere (an ACL file) tells of none. */
  onRefused?(listener: (refusal: Refusal) => void): Dispose;
  /** Bytes or messages waiting inside are bounded; beyond the bound publish() drops QoS 0 and counts, never blocks. */
  close(): Promise<void>;
}

/** What a client says of itself, and what TLS proved. */
export interface BrokerLogin {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Remote address. */
  readonly address: string;
  /** Common name of a certificate that our authority signed. */
  readonly commonName: string | undefined;
}

/** P is whoever the caller takes a client for. */
export interface BrokerRules<P> {
  /** "take" for the gateway alone, "route" as MQTT has it, else the code that refuses it. */
  publish(
    client: { readonly id: string; readonly principal: P },
    topic: string,
  ): "take" | "route" | ErrorCode;
  /** Undefined when it may. */
  subscribe(client: { readonly id: string; readonly principal: P }, filter: string): ErrorCode | undefined;
  /** Asked for each delivery: whether a subscription with wildcards may bring this topic. */
  receive(client: { readonly id: string; readonly principal: P }, topic: string): boolean;
  /** In what the gateway gets of the client's. */
  name(principal: P): string;
}

/** A packet of an outgoing exactly-once (QoS 2) flow, kept until the flow is complete. */
export interface OutgoingPacket {
  /** publish: sent and maybe received. pubrel: received for certain, to be released. */
  readonly state: "publish" | "pubrel";
  readonly messageId: number;
  /** Empty in state pubrel. */
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** Where the flows outlive the process; the link calls it, its owner keeps it on disk. */
export interface PacketStore {
  /** Takes the place of what has the same id. Calls `done` when it is on disk, and not before. */
  put(packet: OutgoingPacket, offset: number, done: (error?: Error) => void): void;
  /** The flow is complete. */
  remove(messageId: number): void;
  get(messageId: number): OutgoingPacket | undefined;
  /** What is outstanding, in the order of sending, when nothing is being written any more. */
  outstanding(done: (packets: readonly OutgoingPacket[]) => void): void;
}

/** Publishes to another broker exactly once, given a store that keeps its promises. */
export interface ExactlyOnceLink {
  /** Only while up. `offset` goes to the store with the packet. */
  publish(topic: string, payload: Uint8Array, offset: number): void;
  /** Up means that what was outstanding is delivered. */
  onState(listener: (up: boolean) => void): Dispose;
  close(): Promise<void>;
}
