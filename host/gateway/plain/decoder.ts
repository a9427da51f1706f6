/** What turns the topics and payloads of a device that speaks no Tardigrade into readings and states, and back. */
import type { Value } from "../../../protocols/messages.generated.ts";

export interface DecodedReading {
  readonly metric: string;
  /** UCUM. */
  readonly unit: string;
  readonly value: number;
}

/** What one message says. */
export interface Decoded {
  /** Id of the device in the fleet. */
  readonly device: string;
  /** Its name in its own topics. */
  readonly name: string;
  /** Shown as the device's board and app. */
  readonly board: string;
  readonly app: string;
  readonly version?: string;
  readonly readings: readonly DecodedReading[];
  readonly states: Readonly<Record<string, Value>>;
  readonly presence?: "online" | "offline";
}

export interface Publish {
  readonly topic: string;
  readonly payload: string | Uint8Array;
}

export interface Decoder {
  /** What errors are reported of; "plain" when absent. */
  readonly component?: string;
  /** MQTT filters to subscribe. */
  readonly filters: readonly string[];
  /** Undefined when the message is none of its. Never throws for what it is given; a promise may reject with a code. */
  decode(topic: string, payload: Uint8Array): Decoded | undefined | Promise<Decoded | undefined>;
  /** What to publish to make the state so; undefined when the device has no such control. */
  encode(name: string, state: string, value: Value): Publish | undefined | Promise<Publish | undefined>;
}

/** A device id of a name that somebody else chose: `DVES_12AB` of tasmota is `tasmota-dves-12ab`. Empty when nothing is left. */
export function deviceIdOf(family: string, name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  if (plain === "") return "";
  // Shelly names its devices shelly… already.
  const id = plain.startsWith(family) ? plain : `${family}-${plain}`;
  return id.slice(0, 31).replace(/-+$/, "");
}
