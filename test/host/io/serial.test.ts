/** What the conformance suite cannot ask: the list in the shapes that a kernel gives it, and what a failure says. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodeNetwork } from "../../../host/io/network.ts";
import { systemSerial } from "../../../host/io/serial.ts";
import { listSerialPorts, type SerialFolders } from "../../../host/io/serial-list.ts";

let root = "";
let folders: SerialFolders;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tardigrade-serial-"));
  folders = { classTty: join(root, "class/tty"), byId: join(root, "by-id"), dev: join(root, "dev") };
  for (const folder of [folders.classTty, folders.byId, folders.dev]) mkdirSync(folder, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

/** A folder of /sys with its attributes. */
function attributes(path: string, values: Readonly<Record<string, string>>): string {
  const folder = join(root, path);
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(values)) writeFileSync(join(folder, name), `${value}\n`);
  return folder;
}

function tty(name: string, device: string | undefined, values: Readonly<Record<string, string>> = {}): void {
  attributes(`class/tty/${name}`, values);
  writeFileSync(join(folders.dev, name), "");
  if (device !== undefined) symlinkSync(device, join(folders.classTty, name, "device"));
}

describe("the list from /sys", () => {
  test("tells what is plugged in, by path, and leaves out what has no hardware", async () => {
    attributes("usb1/1-2", {
      idVendor: "2E8A",
      idProduct: "000a",
      manufacturer: "Raspberry Pi",
      product: "Pico",
      serial: "E660",
    });
    tty("ttyACM10", attributes("usb1/1-2/1-2:1.0", {}));
    attributes("usb1/1-3", { idVendor: "1a86", idProduct: "7523" });
    tty("ttyUSB0", attributes("usb1/1-3/1-3:1.0/ttyUSB0", {}));
    tty("ttyACM2", attributes("usb1/1-4/1-4:1.0", {}));
    tty("ttyS0", attributes("platform/serial8250", {}), { type: "4" });
    tty("ttyS1", attributes("platform/serial8250", {}), { type: "0" });
    tty("tty0", undefined);
    symlinkSync(join(folders.dev, "ttyACM10"), join(folders.byId, "usb-Raspberry_Pi_Pico_E660-if00"));
    symlinkSync(join(folders.dev, "gone"), join(folders.byId, "usb-gone"));
    expect(await listSerialPorts(folders)).toEqual([
      { path: join(folders.dev, "ttyACM2") },
      {
        path: join(folders.dev, "ttyACM10"),
        stablePath: join(folders.byId, "usb-Raspberry_Pi_Pico_E660-if00"),
        vendorId: "2e8a",
        productId: "000a",
        manufacturer: "Raspberry Pi",
        product: "Pico",
        serialNumber: "E660",
      },
      { path: join(folders.dev, "ttyS0") },
      { path: join(folders.dev, "ttyUSB0"), vendorId: "1a86", productId: "7523" },
    ]);
  });

  test("needs neither udevadm nor the package", async () => {
    tty("ttyACM0", attributes("usb1/1-2/1-2:1.0", {}));
    const load = () => Promise.reject(new Error("not installed"));
    expect(await systemSerial({ folders, load }).list()).toEqual([{ path: join(folders.dev, "ttyACM0") }]);
  });

  test("is empty where nothing is plugged in", async () => {
    expect(await systemSerial({ folders }).list()).toEqual([]);
  });
});

describe("failures", () => {
  test("without /sys the library is asked, and its refusal has a code", async () => {
    const absent = { ...folders, classTty: join(root, "absent") };
    const path = process.env.PATH;
    // The library looks for udevadm there.
    process.env.PATH = root;
    try {
      await expect(systemSerial({ folders: absent }).list()).rejects.toMatchObject({ code: "SERIAL_LIST" });
    } finally {
      process.env.PATH = path;
    }
  });

  test("an absent package is named, with what to do", async () => {
    const load = () => Promise.reject(new Error("Cannot find package 'serialport'"));
    const opening = systemSerial({ load }).open("/dev/ttyACM0", { baudRate: 115_200 });
    await expect(opening).rejects.toMatchObject({
      code: "DEPENDENCY_MISSING",
      message: expect.stringContaining("npm install serialport"),
    });
  });

  test("an absent port and an impossible rate are told with the path", async () => {
    const ports = systemSerial();
    const path = join(root, "absent");
    await expect(ports.open(path, { baudRate: 115_200 })).rejects.toMatchObject({
      code: "SERIAL_OPEN",
      message: expect.stringMatching(/absent cannot be opened: No such file/),
    });
    await expect(ports.open(path, { baudRate: Number.NaN })).rejects.toMatchObject({ code: "SERIAL_OPEN" });
  });
});

describe("a port of a device server", () => {
  test("is a TCP connection that carries bytes both ways", async () => {
    const came: number[] = [];
    const server = await nodeNetwork().listen({ host: "127.0.0.1", port: 0 }, (stream) => {
      stream.onData((bytes) => {
        came.push(...bytes);
        stream.write(Uint8Array.of(7));
      });
    });
    const stream = await systemSerial().open(`tcp://127.0.0.1:${server.port}`, { baudRate: 9600 });
    const answered = new Promise<Uint8Array>((resolve) => stream.onData(resolve));
    stream.write(Uint8Array.of(1, 0, 255));
    expect([...(await answered)]).toEqual([7]);
    expect(came).toEqual([1, 0, 255]);
    stream.close();
    await server.close();
  });
  test("nobody there, or no address", async () => {
    const ports = systemSerial();
    await expect(ports.open("tcp://127.0.0.1:1", { baudRate: 9600 })).rejects.toMatchObject({
      code: "CONNECTION_FAILED",
    });
    for (const path of ["tcp://", "tcp://host", "tcp://host:0", "tcp://host:99999"])
      await expect(ports.open(path, { baudRate: 9600 }), path).rejects.toMatchObject({ code: "SERIAL_OPEN" });
  });
});
