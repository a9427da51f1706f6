/** The audit log: JSON lines, each appended whole; at FILE_BYTES_MAX the file becomes `.1`, the one before that is gone. */
import { appendFileSync, renameSync, statSync } from "node:fs";
import type { Logger } from "./seams.ts";

export const FILE_BYTES_MAX = 16 * 1024 * 1024;
const OWNER_ONLY = 0o600;

export function auditFile(path: string, logger: Logger, bytesMax = FILE_BYTES_MAX): (entry: unknown) => void {
  let bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let failing = false;
  return (entry) => {
    const line = `${JSON.stringify(entry)}\n`;
    try {
      if (bytes + line.length > bytesMax && bytes > 0) {
        renameSync(path, `${path}.1`);
        bytes = 0;
      }
      appendFileSync(path, line, { mode: OWNER_ONLY });
      bytes += Buffer.byteLength(line);
      failing = false;
    } catch (error) {
      // A full disk must not stop the gateway; it is said once.
      if (!failing) logger.error("the audit log cannot be written", { path, error });
      failing = true;
    }
  };
}
