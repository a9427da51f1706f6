/** Outside data beside the checkout, which the project does not copy. Without it a test skips and says so; in CI it fails. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../../../shared/data");

export interface SharedFolder {
  readonly isThere: boolean;
  /** For a test's name. */
  readonly note: string;
  read(name: string): string;
}

export function sharedFolder(name: string): SharedFolder {
  const path = join(FOLDER, name);
  const isThere = existsSync(path);
  return {
    // In CI the tests run, and fail on the file that is not there.
    isThere: isThere || process.env.CI === "true",
    note: isThere ? "" : ` (${path} is not there)`,
    read: (file) => readFileSync(join(path, file), "utf8"),
  };
}
