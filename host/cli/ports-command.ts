/** `tardi ports`: what is plugged into this machine, and the path to write into tardigrade.yaml. */
import { findDrives, type Uf2Drive } from "../../boards/flashers/uf2-drive.ts";
import type { SerialPortInfo } from "../io/seams.ts";
import { systemSerial } from "../io/serial.ts";
import { print, printJson, table } from "./output.ts";

export async function portsCommand(options: { readonly json?: boolean }): Promise<void> {
  const serial = await systemSerial().list();
  const drives = findDrives();
  if (options.json) return printJson({ serial, drives });
  print(serialText(serial));
  if (drives.length > 0) print(`\n${drivesText(drives)}`);
}

/** Boards that wait in their boot loader to be flashed. */
export function drivesText(drives: readonly Uf2Drive[]): string {
  const rows = drives.map(({ path, boardId, model }) => [path, boardId, model || "–"]);
  return table(["drive of a boot loader", "board", "model"], rows);
}

/** The stable path is the one to configure: ttyACM0 is whatever was plugged in first. */
export function serialText(ports: readonly SerialPortInfo[]): string {
  if (ports.length === 0) {
    return "No serial port. Plug a board in with a cable that carries data; a container must be given the device.";
  }
  const rows = ports.map((port) => [
    port.path,
    plugged(port),
    usbId(port),
    port.serialNumber ?? "–",
    port.stablePath ?? "–",
  ]);
  return table(["port", "plugged in", "usb id", "serial number", "stable path"], rows);
}

function plugged({ manufacturer, product }: SerialPortInfo): string {
  const words = [manufacturer, product].filter((word) => word !== undefined);
  return words.length === 0 ? "–" : words.join(" ");
}

function usbId({ vendorId, productId }: SerialPortInfo): string {
  return vendorId === undefined ? "–" : `${vendorId}:${productId ?? "?"}`;
}
