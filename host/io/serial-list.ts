/**
 * The serial ports of a Linux machine, as the kernel tells them in /sys. The library's own list asks udevadm, which
 * containers and small systems lack; the kernel knows the same, and also which of the legacy ports have no hardware.
 *
 *   /sys/class/tty/ttyACM0/device -> …/usb1/1-2/1-2:1.0        the interface
 *                                    …/usb1/1-2/idVendor, …    the USB device, some folders above
 *   /dev/serial/by-id/usb-…-if00  -> ../../ttyACM0             a name that does not change with the order of plugging
 */
import { readdir, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { SerialPortInfo } from "./seams.ts";

export interface SerialFolders {
  readonly classTty: string;
  readonly byId: string;
  readonly dev: string;
}

export const SERIAL_FOLDERS: SerialFolders = {
  classTty: "/sys/class/tty",
  byId: "/dev/serial/by-id",
  dev: "/dev",
};

/** From an interface up to its USB device: two folders behind an adapter, one for a modem; hubs come above. */
const CLIMB_MAX = 4;
/** `type` of a legacy port that the kernel reserved and found no hardware for. */
const NO_HARDWARE = "0";

/** Undefined where the machine has no such folder. */
export async function listSerialPorts(
  folders: SerialFolders = SERIAL_FOLDERS,
): Promise<readonly SerialPortInfo[] | undefined> {
  const names = await readdir(folders.classTty).catch(() => undefined);
  if (names === undefined) return undefined;
  const stable = await stablePaths(folders.byId);
  const found = await Promise.all(names.map((name) => describe(folders, name, stable)));
  return found
    .filter((port) => port !== undefined)
    .sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
}

async function describe(
  folders: SerialFolders,
  name: string,
  stable: ReadonlyMap<string, string>,
): Promise<SerialPortInfo | undefined> {
  const folder = join(folders.classTty, name);
  // Consoles and pseudo-terminals have no device.
  const device = await realpath(join(folder, "device")).catch(() => undefined);
  if (device === undefined) return undefined;
  if (/^ttyS\d+$/.test(name) && (await text(join(folder, "type"))) === NO_HARDWARE) return undefined;
  const stablePath = stable.get(name);
  return {
    path: join(folders.dev, name),
    ...(stablePath === undefined ? {} : { stablePath }),
    ...(await usbDevice(device)),
  };
}

/** What the nearest USB device above says of itself. */
async function usbDevice(device: string): Promise<Omit<SerialPortInfo, "path" | "stablePath">> {
  let folder = device;
  for (let climbed = 0; climbed <= CLIMB_MAX; climbed += 1) {
    const vendorId = await text(join(folder, "idVendor"));
    if (vendorId !== undefined) {
      const [productId, manufacturer, product, serialNumber] = await Promise.all(
        ["idProduct", "manufacturer", "product", "serial"].map((name) => text(join(folder, name))),
      );
      return {
        vendorId: vendorId.toLowerCase(),
        ...(productId === undefined ? {} : { productId: productId.toLowerCase() }),
        ...(manufacturer === undefined ? {} : { manufacturer }),
        ...(product === undefined ? {} : { product }),
        ...(serialNumber === undefined ? {} : { serialNumber }),
      };
    }
    folder = dirname(folder);
  }
  return {};
}

/** By name of the port, as ttyACM0. */
async function stablePaths(byId: string): Promise<ReadonlyMap<string, string>> {
  const links = await readdir(byId).catch(() => []);
  const pairs = await Promise.all(
    links.map(async (link) => {
      const target = await realpath(join(byId, link)).catch(() => undefined);
      return target === undefined ? undefined : ([basename(target), join(byId, link)] as const);
    }),
  );
  return new Map(pairs.filter((pair) => pair !== undefined));
}

async function text(path: string): Promise<string | undefined> {
  const content = (await readFile(path, "utf8").catch(() => "")).trim();
  return content === "" ? undefined : content;
}
