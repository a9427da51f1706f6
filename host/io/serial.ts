/**
 * The machine's serial ports, by the package `serialport`. It is native and optional, so it is loaded when a port is opened.
 *
 * A port is never opened twice by one object: after an unplug the library's object keeps state of the old file, so each call
 * of open() makes a new one. DTR and RTS are left as the system sets them: pseudo-terminals have none, and boards
 * take them for a reset.
 */
import type { SerialPort } from "serialport";
import { TardigradeError } from "../../protocols/error.ts";
import { nodeNetwork } from "./network.ts";
import type { ByteStream, Dispose, Network, SerialPortInfo, SerialPorts } from "./seams.ts";
import { listSerialPorts, type SerialFolders } from "./serial-list.ts";

/** write() says false above this: what a kernel's buffer takes at a time, so that a slow line is paced by its drain. */
export const SERIAL_BYTES_SOFT_MAX = 4096;
/** A writer that ignores write() saying false is cut off when this many bytes wait. */
export const SERIAL_BYTES_HARD_MAX = 256 * 1024;

/** How often a port is asked whether it is there; see watch(). */
const WATCH_MS = 500;

type Library = Pick<typeof import("serialport"), "SerialPort">;

export interface SystemSerialOptions {
  /** For ports of the form tcp://host:port: the raw TCP port of a serial device server, or of an emulated board. */
  readonly network?: Network;
  /** Loads the package; the one that is installed by default. */
  readonly load?: () => Promise<Library>;
  /** Where Linux tells of its ports. */
  readonly folders?: SerialFolders;
}

export function systemSerial(options: SystemSerialOptions = {}): SerialPorts {
  const library = (): Promise<Library> => loadSerial(options.load);
  return {
    list: async () => (await listSerialPorts(options.folders)) ?? listByLibrary(await library()),
    open: async (path, { baudRate }) => {
      const remote = tcpAddress(path);
      if (remote === undefined) return open(await library(), path, baudRate);
      return (options.network ?? nodeNetwork()).connect(remote);
    },
  };
}

/** Host and port of `tcp://host:port`, undefined for a port of this machine. Throws SERIAL_OPEN for one that is neither. */
export function tcpAddress(path: string): { readonly host: string; readonly port: number } | undefined {
  if (!path.startsWith("tcp://")) return undefined;
  const url = URL.parse(path);
  const port = Number(url?.port);
  if (url === null || url.hostname === "" || !(port > 0)) {
    throw new TardigradeError(
      "SERIAL_OPEN",
      `"${path}" is no address of a serial port; write tcp://host:port.`,
      { context: { component: "serial", port: path } },
    );
  }
  return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port };
}

/** Rejects with DEPENDENCY_MISSING. */
export async function loadSerial(
  loader: SystemSerialOptions["load"] = () => import("serialport"),
): Promise<Library> {
  try {
    return await loader();
  } catch (cause) {
    throw new TardigradeError(
      "DEPENDENCY_MISSING",
      "The package `serialport` could not be loaded; run `npm install serialport`, or take serial ports out of the configuration.",
      { cause, context: { component: "serial", operation: "load" } },
    );
  }
}

/** Where there is no /sys: macOS, Windows. */
async function listByLibrary(library: Library): Promise<readonly SerialPortInfo[]> {
  try {
    const ports = await library.SerialPort.list();
    return ports.map(({ path, manufacturer, vendorId, productId, serialNumber }) => ({
      path,
      ...(manufacturer ? { manufacturer } : {}),
      ...(vendorId ? { vendorId: vendorId.toLowerCase() } : {}),
      ...(productId ? { productId: productId.toLowerCase() } : {}),
      ...(serialNumber ? { serialNumber } : {}),
    }));
  } catch (cause) {
    throw new TardigradeError(
      "SERIAL_LIST",
      `The serial ports cannot be listed: ${(cause as Error).message}`,
      { cause, context: { component: "serial", operation: "list" } },
    );
  }
}

function open(library: Library, path: string, baudRate: number): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error): void =>
      reject(
        new TardigradeError("SERIAL_OPEN", `The serial port ${path} cannot be opened: ${reasonOf(cause)}`, {
          cause,
          context: { component: "serial", operation: "open", port: path },
        }),
      );
    try {
      const port = new library.SerialPort({
        path,
        baudRate,
        autoOpen: false,
        highWaterMark: SERIAL_BYTES_SOFT_MAX,
      });
      port.open((error) => (error ? refuse(error) : resolve(streamOf(port))));
    } catch (cause) {
      refuse(cause as Error);
    }
  });
}

/** The library's words, and what to do where they are known. */
function reasonOf(cause: Error): string {
  const text = cause.message.replace(/^Error:? /, "");
  if (/permission denied/i.test(text)) return `${text}. Add the user to the port's group (dialout or uucp).`;
  if (/lock|busy/i.test(text)) return `${text}. Another program holds it.`;
  return text;
}

function streamOf(port: SerialPort): ByteStream {
  const data = new Set<(bytes: Uint8Array) => void>();
  const drained = new Set<() => void>();
  const closers = new Set<(error?: Error) => void>();
  let ended = false;
  let failure: Error | undefined;

  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const listener of [...closers]) listener(failure);
  };
  const close = (error?: Error): void => {
    failure ??= error;
    if (port.isOpen) port.close(end);
    else if (!port.closing) end();
  };
  const lose = (cause?: Error | null): void =>
    close(
      new TardigradeError("SERIAL_LOST", `The serial port ${port.path} went away.`, {
        ...(cause ? { cause } : {}),
        context: { component: "serial", port: port.path },
      }),
    );
  // Read from the start: an unplug shows in a read, so a port that nobody reads would look well for ever.
  port.on("data", (bytes: Uint8Array) => {
    for (const listener of data) listener(bytes);
  });
  port.on("drain", () => {
    for (const listener of drained) listener();
  });
  // The library says what ended the port; nothing when we closed it.
  port.on("close", (cause?: Error | null) => (cause ? lose(cause) : end()));
  port.on("end", () => lose());
  port.on("error", lose);

  closers.add(watch(port, lose));

  return {
    write: (bytes) => {
      if (ended || !port.isOpen) return false;
      // The caller may reuse its bytes at once; the port keeps what it could not send yet.
      const clear = port.write(bytes.slice());
      if (port.writableLength > SERIAL_BYTES_HARD_MAX) {
        const message = `${port.path} takes bytes more slowly than they are written; it was closed.`;
        close(new TardigradeError("QUEUE_FULL", message));
      }
      return clear;
    },
    onData: (listener) => subscribe(data, listener),
    onDrain: (listener) => subscribe(drained, listener),
    onClose: (listener) => {
      if (!ended) return subscribe(closers, listener);
      let wanted = true;
      queueMicrotask(() => wanted && listener(failure));
      return () => {
        wanted = false;
      };
    },
    close: () => close(),
  };
}

/**
 * Sees an unplug that the library misses. A read of a port that hung up gives 0 bytes, and serialport 13 reads again at once,
 * for ever, where the unplug came between two reads rather than while it waited for bytes. Asking for the baud rate fails on
 * such a port. Where the question is not answered from the start (macOS), the link's own silence limit has to do.
 */
function watch(port: SerialPort, lose: (cause: Error) => void): Dispose {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const ask = async (): Promise<void> => void (await port.port?.getBaudRate());
  const again = (): void => {
    if (stopped) return;
    timer = setTimeout(() => ask().then(again, (cause: Error) => stopped || lose(cause)), WATCH_MS);
    timer.unref();
  };
  ask().then(again, () => undefined);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function subscribe<T>(listeners: Set<T>, listener: T): Dispose {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
