/**
 * Flashing by UF2: a board in its boot loader shows a drive, and takes the file that is copied there. The drive says what it is in
 * INFO_UF2.TXT, so that firmware is not copied onto another board, or onto somebody's stick.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";

const INFO = "INFO_UF2.TXT";
const CHUNK_BYTES = 4096;

export interface Uf2Drive {
  readonly path: string;
  /** What the drive says it is, such as RPI-RP2. */
  readonly boardId: string;
  /** Such as "Raspberry Pi RP2"; empty when it does not say. */
  readonly model: string;
}

/** Where operating systems put drives. */
export interface DriveFolders {
  /** A list of what is mounted, as Linux has it. */
  readonly mounts: string;
  /** Folders whose subfolders, or theirs, may be drives. */
  readonly roots: readonly string[];
}

const SYSTEM_FOLDERS: DriveFolders = {
  mounts: "/proc/mounts",
  roots: [
    "/media",
    "/run/media",
    "/mnt",
    "/Volumes",
    ..."DEFGHIJKLMNOPQRSTUVWXYZ".split("").map((letter) => `${letter}:\\`),
  ],
};

/** Every boot loader's drive that is there now. */
export function findDrives(folders: DriveFolders = SYSTEM_FOLDERS): readonly Uf2Drive[] {
  const candidates = new Set([...mounted(folders.mounts), ...folders.roots.flatMap(below)]);
  return [...candidates].sort().flatMap((path) => {
    const drive = readDrive(path);
    return drive === undefined ? [] : [drive];
  });
}

/** Mount points; a space in one is written `\040`. */
function mounted(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[1] ?? [])
    .map((path) =>
      path.replace(/\\(\d{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}

/** The folder, its subfolders and theirs: /media/NAME on one system, /media/USER/NAME on another. */
function below(root: string): readonly string[] {
  const subfolders = (folder: string): readonly string[] => {
    try {
      return readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(folder, entry.name));
    } catch {
      // Absent, or another user's.
      return [];
    }
  };
  const first = subfolders(root);
  return [root, ...first, ...first.flatMap(subfolders)];
}

/** Undefined for a folder that is no boot loader's drive. */
export function readDrive(path: string): Uf2Drive | undefined {
  let text: string;
  try {
    text = readFileSync(join(path, INFO), "utf8");
  } catch {
    return undefined;
  }
  const boardId = /^Board-ID: *(.+?)\s*$/m.exec(text)?.[1];
  return boardId === undefined
    ? undefined
    : { path, boardId, model: /^Model: *(.+?)\s*$/m.exec(text)?.[1] ?? "" };
}

/**
 * The drive to flash: the one that was named, or the only one of that board. Throws FLASH_DRIVE saying what to do.
 */
export function chooseDrive(options: {
  readonly boardId: string;
  readonly title: string;
  readonly path?: string;
  readonly folders?: DriveFolders;
}): Uf2Drive {
  const { boardId, title, path } = options;
  const refuse = (message: string) =>
    new TardigradeError("FLASH_DRIVE", message, { context: { component: "flash" } });
  if (path !== undefined) {
    if (!existsSync(path) || !statSync(path).isDirectory()) throw refuse(`There is no folder ${path}.`);
    const drive = readDrive(path);
    if (drive === undefined)
      throw refuse(
        `${path} has no ${INFO}, so it is no boot loader's drive. Leave --drive out to have it found.`,
      );
    if (drive.boardId !== boardId)
      throw refuse(
        `${path} is a ${drive.model || drive.boardId} (${drive.boardId}), not a ${title} (${boardId}).`,
      );
    return drive;
  }
  const all = findDrives(options.folders);
  const fitting = all.filter((drive) => drive.boardId === boardId);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  if (fitting.length > 1)
    throw refuse(
      `There are ${fitting.length} ${boardId} drives: ${fitting.map((drive) => drive.path).join(", ")}. Name one with --drive.`,
    );
  const others = all.map((drive) => `${drive.path} is a ${drive.boardId}`).join(", ");
  throw refuse(
    `No ${boardId} drive is here${others === "" ? "" : ` (${others})`}. Hold the board's BOOTSEL button down while you plug its cable in; the drive appears then. If the system does not mount drives by itself, mount it and give its folder with --drive.`,
  );
}

/** Copies the file. A board starts the firmware as soon as it has the last block, and its drive is gone: that is success. */
export async function writeUf2(
  drive: Uf2Drive,
  name: string,
  bytes: Uint8Array,
  progress: (written: number) => void,
): Promise<void> {
  const path = join(drive.path, name);
  let written = 0;
  try {
    const file = await open(path, "w");
    try {
      for (; written < bytes.length; written += CHUNK_BYTES) {
        await file.write(bytes.subarray(written, written + CHUNK_BYTES));
        progress(Math.min(written + CHUNK_BYTES, bytes.length));
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (written >= bytes.length) return;
    throw new TardigradeError(
      "FLASH_DRIVE",
      `${path} could not be written after ${written} of ${bytes.length} bytes: ${(cause as Error).message}. Put the board into its boot loader again and repeat.`,
      { cause, context: { component: "flash" } },
    );
  }
}
