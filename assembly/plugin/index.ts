/**
 * `tardigrade/plugin`: what a payload decoder in AssemblyScript imports. docs/plugins.md teaches it; protocols/wit/plugin.wit is the world
 * that these classes stand for, and abi.ts carries them over.
 */

/** Kinds of a Value; the numbers are the places of the cases in the world's `value`. */
export const BOOLEAN: u32 = 0;
export const NUMBER: u32 = 1;
export const TEXT: u32 = 2;

/** What a state can be. */
export class Value {
  /** BOOLEAN, NUMBER or TEXT. */
  readonly kind: u32;
  readonly boolean: bool;
  readonly number: f64;
  readonly text: string;

  constructor(kind: u32, boolean: bool, number: f64, text: string) {
    this.kind = kind;
    this.boolean = boolean;
    this.number = number;
    this.text = text;
  }

  static boolean(value: bool): Value {
    return new Value(BOOLEAN, value, 0, "");
  }
  static number(value: f64): Value {
    return new Value(NUMBER, false, value, "");
  }
  static text(value: string): Value {
    return new Value(TEXT, false, 0, value);
  }
}

export class Reading {
  readonly metric: string;
  readonly unit: string;
  readonly value: f64;

  constructor(metric: string, unit: string, value: f64) {
    this.metric = metric;
    this.unit = unit;
    this.value = value;
  }
}

export class State {
  readonly key: string;
  readonly value: Value;

  constructor(key: string, value: Value) {
    this.key = key;
    this.value = value;
  }
}

export const PRESENCE_UNTOLD: u32 = 0;
export const PRESENCE_ONLINE: u32 = 1;
export const PRESENCE_OFFLINE: u32 = 2;

/** What a message says. Each method returns the object itself, so that calls can be chained. */
export class Decoded {
  /** As its makers have it; the gateway makes an id of it. */
  device: string;
  /** Of its firmware; empty when the message does not tell. */
  firmware: string = "";
  presence: u32 = PRESENCE_UNTOLD;
  /** Not empty: the message cannot be read, for this reason. */
  refusal: string = "";
  readonly readings: Reading[] = [];
  readonly states: State[] = [];

  constructor(device: string) {
    this.device = device;
  }

  /** `return Decoded.refused("shorter than its header");` */
  static refused(reason: string): Decoded {
    const decoded = new Decoded("");
    decoded.refusal = reason.length == 0 ? "no reason given" : reason;
    return decoded;
  }

  /** A number of now. `unit` is UCUM: Cel, %, W, m/s; empty for none. */
  reading(metric: string, unit: string, value: f64): Decoded {
    this.readings.push(new Reading(metric, unit, value));
    return this;
  }
  stateBoolean(key: string, value: bool): Decoded {
    this.states.push(new State(key, Value.boolean(value)));
    return this;
  }
  stateNumber(key: string, value: f64): Decoded {
    this.states.push(new State(key, Value.number(value)));
    return this;
  }
  stateText(key: string, value: string): Decoded {
    this.states.push(new State(key, Value.text(value)));
    return this;
  }
  version(firmware: string): Decoded {
    this.firmware = firmware;
    return this;
  }
  /** The message is a birth or a last will. */
  online(isOnline: bool): Decoded {
    this.presence = isOnline ? PRESENCE_ONLINE : PRESENCE_OFFLINE;
    return this;
  }
}

/** A message to a device. */
export class Publish {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Not empty: the state cannot be made so, for this reason. */
  refusal: string = "";

  constructor(topic: string, payload: Uint8Array) {
    this.topic = topic;
    this.payload = payload;
  }

  static text(topic: string, payload: string): Publish {
    return new Publish(topic, Uint8Array.wrap(String.UTF8.encode(payload)));
  }
  /** `return Publish.refused("the valve opens from 0 to 100");` */
  static refused(reason: string): Publish {
    const publish = new Publish("", new Uint8Array(0));
    publish.refusal = reason.length == 0 ? "no reason given" : reason;
    return publish;
  }
}

/** Level `index` of a topic, from 0; empty when it has fewer. */
export function level(topic: string, index: i32): string {
  const levels = topic.split("/");
  return index >= 0 && index < levels.length ? levels[index] : "";
}

/** The payload as text. */
export function textOf(payload: Uint8Array): string {
  return String.UTF8.decodeUnsafe(payload.dataStart, payload.length);
}

/**
 * Reads a payload's numbers from its start. Beyond the end it gives 0 and `isShort` becomes true: read first, ask once.
 */
export class Reader {
  at: i32 = 0;
  isShort: bool = false;
  readonly payload: Uint8Array;

  constructor(payload: Uint8Array) {
    this.payload = payload;
  }

  /** Bytes not read yet. */
  get left(): i32 {
    return this.payload.length - this.at;
  }
  u8(): u32 {
    if (this.left < 1) {
      this.isShort = true;
      return 0;
    }
    const byte = this.payload[this.at];
    this.at += 1;
    return byte;
  }
  i8(): i32 {
    return <i32>(<i8>this.u8());
  }
  /** The byte that comes first is the higher one: big-endian. */
  u16(): u32 {
    const high = this.u8();
    return (high << 8) | this.u8();
  }
  i16(): i32 {
    return <i32>(<i16>this.u16());
  }
  u24(): u32 {
    const high = this.u16();
    return (high << 8) | this.u8();
  }
  u32(): u32 {
    const high = this.u16();
    return (high << 16) | this.u16();
  }
  i32(): i32 {
    return <i32>this.u32();
  }
  /** The byte that comes first is the lower one: little-endian. */
  u16le(): u32 {
    const low = this.u8();
    return low | (this.u8() << 8);
  }
  i16le(): i32 {
    return <i32>(<i16>this.u16le());
  }
  u32le(): u32 {
    const low = this.u16le();
    return low | (this.u16le() << 16);
  }
}
