/**
 * Compile cache: what a build made, by the digest of everything that went into it. Entries are whole folders, put in place by one rename,
 * so two builds at once do not disturb each other. Deleting the folder is always right.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Entries kept; the ones longest unused go first. */
const ENTRIES_MAX = 64;
/** Its time of change says when the entry was last used. */
const USED = "used";

export function cacheFolder(): string {
  const { TARDIGRADE_CACHE, XDG_CACHE_HOME } = process.env;
  return TARDIGRADE_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tardigrade");
}

export function digestOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 32);
}

/** The files that `make` leaves in the folder it is given, or that an earlier build of the same input left. */
export async function cached(
  key: string,
  names: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<readonly Uint8Array<ArrayBuffer>[]> {
  const root = cacheFolder();
  const entry = join(root, key);
  if (!existsSync(entry)) {
    await mkdir(root, { recursive: true });
    const work = await mkdtemp(join(root, `${key}.`));
    try {
      await make(work);
      await writeFile(join(work, USED), "");
      await rename(work, entry).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    await prune(root);
  }
  await writeFile(join(entry, USED), "");
  return Promise.all(names.map(async (name) => Uint8Array.from(await readFile(join(entry, name)))));
}

async function prune(root: string): Promise<void> {
  const names = await readdir(root);
  if (names.length <= ENTRIES_MAX) return;
  const aged = await Promise.all(
    names.map(async (name) => ({
      name,
      usedMs: await stat(join(root, name, USED)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    })),
  );
  aged.sort((a, b) => a.usedMs - b.usedMs);
  for (const { name } of aged.slice(0, names.length - ENTRIES_MAX))
    await rm(join(root, name), { recursive: true, force: true });
}
