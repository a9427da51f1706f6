/** What `tardi ports` shows. */
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { drivesText, serialText } from "../../../host/cli/ports-command.ts";
import { listSerialPorts } from "../../../host/io/serial-list.ts";
import { MAIN, ROOT, run } from "../../support/processes.ts";

test("a row a port, with what is known of it and the path that stays", () => {
  const text = serialText([
    {
      path: "/dev/ttyACM0",
      stablePath: "/dev/serial/by-id/usb-Pico_E660-if00",
      manufacturer: "Raspberry Pi",
      product: "Pico",
      vendorId: "2e8a",
      productId: "000a",
      serialNumber: "E660",
    },
    { path: "/dev/ttyS0" },
    { path: "/dev/ttyUSB0", vendorId: "1a86" },
  ]);
  expect(stripVTControlCharacters(text)).toMatchInlineSnapshot(`
    "port          plugged in         usb id     serial number  stable path
    /dev/ttyACM0  Raspberry Pi Pico  2e8a:000a  E660           /dev/serial/by-id/usb-Pico_E660-if00
    /dev/ttyS0    –                  –          –              –
    /dev/ttyUSB0  –                  1a86:?     –              –"
  `);
});

test("says plainly when there is none, and what to do", () => {
  expect(serialText([])).toMatch(/^No serial port\. Plug a board in/);
});

test("boards that wait to be flashed have a table of their own", () => {
  const text = drivesText([{ path: "/media/me/RPI-RP2", boardId: "RPI-RP2", model: "" }]);
  expect(stripVTControlCharacters(text)).toMatch(/\/media\/me\/RPI-RP2 +RPI-RP2 +–/);
});

test("the command lists what this machine has, as JSON for programs", async () => {
  const { code, stdout } = await run(process.execPath, [MAIN, "ports", "--json"], { cwd: ROOT });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    serial: (await listSerialPorts()) ?? expect.any(Array),
    drives: expect.any(Array),
  });
});
