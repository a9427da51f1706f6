/**
 * One table of tokens for whatever message is being read or built. Both at once never happens: a message is read, its fields
 * are taken, and only then does anything answer it; parse.ts and build.ts each start the table anew.
 */
import { TOKEN_BYTES, TOKENS_MAX } from "../../assembly/codec/token";
import { reserve } from "./memory";

/** Key of a message's stamp, the same in all; no element of a list has one so high. */
export const STAMP_KEY: u8 = 11;

export const tokens: usize = reserve(TOKEN_BYTES * <usize>TOKENS_MAX);
