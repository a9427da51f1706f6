/**
 * One table of tokens for whatever message is being read or built. Both at once never happens: a message is read, its fields
 * are taken, and only then does anything answer it; parse.ts and build.ts each start the table anew.
 */
import { TOKEN_BYTES, TOKENS_MAX } from "../../assembly/codec/token";
import { reserve } from "./memory";

export const tokens: usize = reserve(TOKEN_BYTES * <usize>TOKENS_MAX);
