/**
 * One process at a time in a data folder. Node has no flock, so the lock is a file that names its holder:
 * process number, and when that process started, because numbers are reused (in a container, always). A lock
 * whose holder is gone is taken over.
 *
 * The file appears whole, by link(2) from a temporary one, so nobody reads half a lock. Taking over is the
 * dangerous part: two processes that both see a stale lock must not both replace it. So it is done under a
 * second lock, and only if the stale one still stands there; the replacement is one rename(2), so there is no
 * moment without a lock.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { TardigradeError } from "../../protocols/error.ts";

const ATTEMPTS_MAX = 3;
/** A process may die while it takes over, and its takeover lock is then taken over in turn. */
const TAKEOVER_DEPTH_MAX = 3;

export interface HeldLock {
  release(): Promise<void>;
}

/** Rejects with LOG_LOCKED when a living process holds the lock, or takes it at this moment. */
export function takeLock(path: string): Promise<HeldLock> {
  return take(path, 0);
}

async function take(path: string, depth: number): Promise<HeldLock> {
  const started = startOf(process.pid) ?? "";
  const own = JSON.stringify({ pid: process.pid, started, nonce: randomBytes(8).toString("hex") });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(draft, own, { mode: 0o640 });
  } catch (cause) {
    throw unwritable(path, cause);
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (await tryLink(draft, path)) return { release: () => release(path, own) };
      const found = await readFile(path, "utf8").catch(() => undefined);
      if (found === undefined) continue;
      const holder = parseHolder(found);
      if ((holder !== undefined && isAlive(holder)) || depth >= TAKEOVER_DEPTH_MAX)
        throw locked(path, holder?.pid);
      if (await takeOver({ path, draft, found }, depth)) return { release: () => release(path, own) };
    }
    throw locked(path, undefined);
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}

/** Replaces the stale lock that was found by the draft; false when somebody else was faster. */
async function takeOver(
  stale: { readonly path: string; readonly draft: string; readonly found: string },
  depth: number,
): Promise<boolean> {
  const takeover = await take(`${stale.path}.takeover`, depth + 1);
  try {
    const now = await readFile(stale.path, "utf8").catch(() => undefined);
    if (now !== stale.found) return false;
    await rename(stale.draft, stale.path);
    return true;
  } finally {
    await takeover.release();
  }
}

interface Holder {
  readonly pid: number;
  readonly started: string;
}

async function tryLink(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new TardigradeError("DISK_IO", `Could not make the lock ${path}; check the folder's permissions.`, {
      cause,
    });
  }
}

async function release(path: string, own: string): Promise<void> {
  const found = await readFile(path, "utf8").catch(() => undefined);
  if (found === own) await unlink(path).catch(() => undefined);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, started } = value as { pid?: unknown; started?: unknown };
    return typeof pid === "number" && pid > 0 && typeof started === "string" ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (cause) {
    // EPERM: it runs, under another user.
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const started = startOf(holder.pid);
  return started === undefined || holder.started === "" || started === holder.started;
}

/** When a process started: the machine's boot and the ticks since, from Linux's /proc (proc(5), field 22). */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, field 2, may hold spaces and brackets: fields are counted after the last bracket.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? undefined : `${boot}:${ticks}`;
  } catch {
    return undefined;
  }
}

function locked(path: string, pid: number | undefined): TardigradeError {
  const who = pid === undefined ? "Another process" : `Process ${pid}`;
  return new TardigradeError("LOG_LOCKED", `${who} holds ${path}; stop it or choose another data folder.`, {
    context: { component: "disk", operation: "lock", path, pid },
  });
}

function unwritable(path: string, cause: unknown): TardigradeError {
  return new TardigradeError("DISK_IO", `Could not make the lock ${path}; check the folder's permissions.`, {
    cause,
    context: { component: "disk", operation: "lock", path },
  });
}
