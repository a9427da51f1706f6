/**
 * `tardi backup` and `tardi restore`: a gateway's data folder as one gzipped tar, whose own checksums tell a damaged file.
 * The folder's lock is held meanwhile, so a running gateway is refused instead of copied in the middle of a write.
 */
import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { create, extract, list } from "tar";
import { TardigradeError } from "../../protocols/error.ts";
import { nodeDisk } from "../io/disk.ts";
import { print, printJson, progress } from "./output.ts";

/** Present in every data folder; what is no backup of ours lacks it. */
const LOG_FOLDER = "log";
const LOCK = "log/lock";

export async function backupCommand(data: string, file: string, json: boolean): Promise<void> {
  if (!existsSync(join(data, LOG_FOLDER))) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `${data} holds no gateway's data; name it with --data or --config.`,
    );
  }
  const line = json ? undefined : progress(`Backing up ${data}`);
  const lock = await nodeDisk(data).lock(LOCK);
  const partial = `${resolve(file)}.partial`;
  let files = 0;
  try {
    const names = (await readdir(data)).sort();
    await create(
      { gzip: true, file: partial, cwd: data, portable: true, filter: (path) => !path.endsWith(LOCK) },
      names,
    );
    files = await countEntries(partial);
    await rename(partial, file);
  } finally {
    await lock.release();
    await rm(partial, { force: true });
  }
  const { size } = await stat(file);
  line?.done(`${files} files, ${size} bytes`);
  if (json) printJson({ file: resolve(file), files, bytes: size });
  else print(`Written to ${file}. Restore with \`tardi restore ${file} --data FOLDER\`.`);
}

/** Into an absent or empty folder only: a restore never overwrites. */
export async function restoreCommand(file: string, data: string, json: boolean): Promise<void> {
  if (!existsSync(file)) throw new TardigradeError("FILE_UNREADABLE", `There is no file ${file}.`);
  if (existsSync(data) && (await readdir(data)).length > 0) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `${data} is not empty; a restore writes into an empty folder only. Move it away first.`,
    );
  }
  const line = json ? undefined : progress(`Restoring ${file}`);
  await countEntries(file);
  // Unpacked beside and renamed, so that an interrupted restore is not taken for a data folder.
  const partial = join(dirname(resolve(data)), `.${process.pid}.restoring`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    await extract({ file, cwd: partial, strict: true });
    await rm(data, { recursive: true, force: true });
    await rename(partial, data);
  } catch (cause) {
    await rm(partial, { recursive: true, force: true });
    throw new TardigradeError("BACKUP_INVALID", `${file} cannot be unpacked: ${(cause as Error).message}`, {
      cause,
    });
  }
  line?.done();
  if (json) printJson({ data: resolve(data) });
  else print(`${data} is restored. Start the gateway on it with \`tardi gateway run\`.`);
}

/** Reads the whole archive, so that damage shows before anything depends on it. */
async function countEntries(file: string): Promise<number> {
  let files = 0;
  let hasLog = false;
  try {
    // tar stops at its own end mark, before the checksum of the whole stream; this reads to the very end.
    await pipeline(createReadStream(file), createGunzip(), async (chunks) => {
      for await (const _ of chunks);
    });
    await list({
      file,
      strict: true,
      onReadEntry: (entry) => {
        files += 1;
        hasLog ||= entry.path.startsWith(`${LOG_FOLDER}/`);
      },
    });
  } catch (cause) {
    throw new TardigradeError(
      "BACKUP_INVALID",
      `${file} is damaged or no backup: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (!hasLog)
    throw new TardigradeError(
      "BACKUP_INVALID",
      `${file} is no backup of a gateway: it holds no ${LOG_FOLDER}/.`,
    );
  return files;
}
