import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { takeLock } from "../../../host/io/lock-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tardi-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that takes the lock, says so and stays. */
async function holder(path: string) {
  const module = JSON.stringify(join(import.meta.dirname, "../../../host/io/lock-file.ts"));
  const script = `const { takeLock } = await import(${module});
    await takeLock(${JSON.stringify(path)}); console.log("held"); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    pid: child.pid,
    kill: () =>
      new Promise((resolve) => {
        child.once("exit", resolve);
        child.kill("SIGKILL");
      }),
  };
}

test("a lock of a living process is refused with its number; after kill -9 it is taken over", async () => {
  const path = join(folder, "lock");
  const other = await holder(path);
  await expect(takeLock(path)).rejects.toMatchObject({
    code: "LOG_LOCKED",
    message: expect.stringContaining(`Process ${other.pid}`),
  });
  await other.kill();
  const lock = await takeLock(path);
  await expect(takeLock(path)).rejects.toMatchObject({ code: "LOG_LOCKED" });
  await lock.release();
  expect(readdirSync(folder)).toEqual([]);
});

test("a process number that was given to another process since does not hold the lock", async () => {
  const path = join(folder, "lock");
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: "another boot:1", nonce: "x" }));
  await (await takeLock(path)).release();
});

test("where nobody knows when a process started, a living one holds", async () => {
  const path = join(folder, "lock");
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: "", nonce: "x" }));
  await expect(takeLock(path)).rejects.toMatchObject({ code: "LOG_LOCKED" });
});

test.each(["", "not JSON", "null", "7", '{"pid":"x"}', '{"pid":-1,"started":""}'])(
  "a file %j is no lock",
  async (text) => {
    const path = join(folder, "lock");
    writeFileSync(path, text);
    await (await takeLock(path)).release();
  },
);

test("of many that come at once to a stale lock, one gets it", async () => {
  for (let round = 0; round < 30; round += 1) {
    const path = join(folder, "lock");
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: "another boot:1", nonce: "x" }));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
    const held = results.filter((result) => result.status === "fulfilled");
    expect(held.length).toBe(1);
    expect(readdirSync(folder)).toEqual(["lock"]);
    await held[0]?.value.release();
  }
});

test("a takeover that died halfway is taken over too, to a bounded depth", async () => {
  const stale = JSON.stringify({ pid: process.pid, started: "another boot:1", nonce: "x" });
  const path = join(folder, "lock");
  for (const suffix of ["", ".takeover", ".takeover.takeover"]) writeFileSync(path + suffix, stale);
  await (await takeLock(path)).release();
  expect(readdirSync(folder)).toEqual([]);
  for (const depth of [0, 1, 2, 3]) writeFileSync(path + ".takeover".repeat(depth), stale);
  await expect(takeLock(path)).rejects.toMatchObject({
    code: "LOG_LOCKED",
    message: expect.stringContaining(".takeover"),
  });
});

test("a release takes away one's own lock only", async () => {
  const path = join(folder, "lock");
  const lock = await takeLock(path);
  writeFileSync(path, "somebody else's");
  await lock.release();
  expect(readFileSync(path, "utf8")).toBe("somebody else's");
});

test("a folder that is not there is an error of the disk", async () => {
  await expect(takeLock(join(folder, "absent", "lock"))).rejects.toMatchObject({ code: "DISK_IO" });
});
