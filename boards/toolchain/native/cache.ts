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
/** Beginning of the folders that are being filled. */
const WORK = "work.";
const ATTEMPTS = 3;

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
  for (let attempt = 1; ; attempt += 1) {
    if (!existsSync(entry)) await fill(root, entry, make);
    try {
      await writeFile(join(entry, USED), "");
      return await Promise.all(names.map(async (name) => Uint8Array.from(await readFile(join(entry, name)))));
    } catch (error) {
      // Another build has just pruned it: once more.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === ATTEMPTS) throw error;
    }
  }
}

async function fill(root: string, entry: string, make: (folder: string) => Promise<void>): Promise<void> {
  await mkdir(root, { recursive: true });
  const work = await mkdtemp(join(root, WORK));
  try {
    await make(work);
    await writeFile(join(work, USED), "");
    await rename(work, entry).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  await prune(root);
}

/** What others are just making is left alone. */
async function prune(root: string): Promise<void> {
  const names = (await readdir(root)).filter((name) => !name.startsWith(WORK));
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
