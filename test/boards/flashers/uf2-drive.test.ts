/** Finding a boot loader's drive, refusing others, copying; and an emulated Pico that boots from the very file that was copied. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseDrive, findDrives, writeUf2 } from "../../../boards/flashers/uf2-drive.ts";
import { FakeDrive } from "../../../boards/simulators/pico/fake-drive.ts";
import { PICO, picoTarget } from "../../support/boards/pico-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";
import { MAIN, ROOT, run } from "../../support/processes.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-drives-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const folders = () => ({ mounts: join(folder, "mounts"), roots: [join(folder, "media")] });
const wanted = { boardId: "RPI-RP2", title: "Raspberry Pi Pico" };

describe("finding", () => {
  test("a drive below a user's folder, and one that only the mounts tell of", () => {
    new FakeDrive(join(folder, "media/someone/RPI-RP2"));
    new FakeDrive(join(folder, "else where"));
    writeFileSync(
      join(folder, "mounts"),
      `/dev/sda1 ${join(folder, "else\\040where")} vfat rw 0 0\nproc /proc proc rw 0 0\n`,
    );
    expect(findDrives(folders())).toEqual([
      { path: join(folder, "else where"), boardId: "RPI-RP2", model: "Raspberry Pi RP2" },
      { path: join(folder, "media/someone/RPI-RP2"), boardId: "RPI-RP2", model: "Raspberry Pi RP2" },
    ]);
  });
  test("none: what to do", () => {
    expect(() => chooseDrive({ ...wanted, folders: folders() })).toThrow(/Hold the board's BOOTSEL button/);
  });
  test("another board's: says whose it is", () => {
    const drive = join(folder, "media/NICENANO");
    mkdirSync(drive, { recursive: true });
    writeFileSync(
      join(drive, "INFO_UF2.TXT"),
      "UF2 Bootloader 0.6.0\r\nModel: nice!nano\r\nBoard-ID: nRF52840-nicenano\r\n",
    );
    expect(() => chooseDrive({ ...wanted, folders: folders() })).toThrow(/is a nRF52840-nicenano/);
    expect(() => chooseDrive({ ...wanted, path: drive })).toThrow(
      /is a nice!nano .* not a Raspberry Pi Pico/,
    );
  });
  test("two of them: asks which", () => {
    new FakeDrive(join(folder, "media/one"));
    new FakeDrive(join(folder, "media/two"));
    expect(() => chooseDrive({ ...wanted, folders: folders() })).toThrow(/2 RPI-RP2 drives: .*--drive/);
  });
  test("a folder that is no drive", () => {
    expect(() => chooseDrive({ ...wanted, path: folder })).toThrow(/no INFO_UF2.TXT/);
    expect(() => chooseDrive({ ...wanted, path: join(folder, "none") })).toThrow(/no folder/);
  });
});

test("a drive that cannot be written: how far it came, and what to do", async () => {
  const drive = new FakeDrive(join(folder, "RPI-RP2"));
  mkdirSync(join(drive.folder, "app.uf2"));
  chmodSync(drive.folder, 0o555);
  const writing = writeUf2(
    { path: drive.folder, boardId: "RPI-RP2", model: "" },
    "app.uf2",
    new Uint8Array(10_000),
    () => {},
  );
  await expect(writing).rejects.toMatchObject({
    code: "FLASH_DRIVE",
    message: expect.stringContaining("0 of 10000"),
  });
});

test("tardi flash: builds, copies, and the Pico boots from that very file", async () => {
  const drive = new FakeDrive(join(folder, "RPI-RP2"));
  const args = ["flash", GREENHOUSE, "--board", "pico", "--drive", drive.folder];
  const { code, stdout, stderr } = await run(process.execPath, [MAIN, ...args, "--json"], { cwd: ROOT });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ board: "pico", file: "greenhouse-pico.uf2", warnings: [] });
  const taken = drive.take(new Uint8Array(PICO.flash.bytes).fill(0xff));
  const board = await picoTarget({ app: GREENHOUSE, flash: taken?.flash as Uint8Array });
  const rig = new StreamRig(board);
  await board.powerOn();
  await rig.open();
  expect(rig.hello).toMatchObject({ board: "pico", app: "greenhouse" });
  await board.close();
});

test("a board that is not flashed says how it is started", async () => {
  const { code, stderr } = await run(process.execPath, [MAIN, "flash", GREENHOUSE, "--board", "virtual"], {
    cwd: ROOT,
  });
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/A virtual board is not flashed: it runs in Node/);
});
