/**
 * Free-form values (shadows, device records, cursors) as bytes in the state store: CBOR by cbor-x, whose
 * losses do not matter here, because both sides are this process. What travels to devices goes through
 * protocols/cbor.ts.
 */
import { Encoder } from "cbor-x";
import { TardigradeError } from "../../protocols/error.ts";

/**
 * Plain maps, so that any CBOR reader can read them; no shared structures that one value would need another
 * for.
 */
const codec = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });

/**
 * Encodes null, booleans, numbers, text, bytes, lists and plain objects of them. The bytes are the caller's.
 */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(codec.encode(value));
}

/** Decodes what encodeValue() wrote; the caller checks its shape. Throws STATE_CORRUPT for anything else. */
export function decodeValue(bytes: Uint8Array): unknown {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new TardigradeError(
      "STATE_CORRUPT",
      "A stored value cannot be decoded; the state is rebuilt from the log.",
      {
        cause,
        context: { component: "state", operation: "decode" },
      },
    );
  }
}
