/** The vectors of protocols/vectors with the values that JSON lacks: {"$u64"}, {"$hex"}, {"$float"}. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Frame } from "../../protocols/frame.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import type { ErrorCode } from "../../protocols/table.ts";

const FOLDER = join(import.meta.dirname, "../../protocols/vectors");
const FLOATS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  "-0": -0,
};

export const fromHex = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(hex, "hex"));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function revive(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  const fields = value as Record<string, unknown>;
  if (typeof fields.$u64 === "string") return BigInt(fields.$u64);
  if (typeof fields.$hex === "string") return fromHex(fields.$hex);
  if (typeof fields.$float === "string") return FLOATS[fields.$float];
  return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, revive(item)]));
}

const read = (name: string) => JSON.parse(readFileSync(join(FOLDER, name), "utf8"));

interface MessageVector {
  readonly name: string;
  readonly message: Message;
  readonly hex: string;
}
const messages = read("messages.json");
const shaped = (vector: MessageVector): MessageVector => ({
  ...vector,
  message: revive(vector.message) as Message,
});

export const VALID: readonly MessageVector[] = messages.valid.map(shaped);
/** Carry keys of a later minor version; decode only. */
export const SKIPPED: readonly MessageVector[] = messages.skipped.map(shaped);
export const INVALID: readonly { name: string; hex: string; code: ErrorCode }[] = messages.invalid;

const frames = read("frames.json");
export const FRAMES: readonly { name: string; frame: Frame; hex: string }[] = frames.frames.map(
  (vector: { name: string; hex: string; frame: Frame & { payload: string } }) => ({
    ...vector,
    frame: { ...vector.frame, payload: fromHex(vector.frame.payload) },
  }),
);
export const COBS: readonly { raw: string; encoded: string }[] = frames.cobs;
export const CRC32: readonly { hex: string; crc: number }[] = frames.crc32;
