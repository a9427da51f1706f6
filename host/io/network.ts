/**
 * TCP of the machine. Bytes waiting to be sent are bounded by the socket's high-water mark: write() says
 * false above it.
 */
import { createServer, type Server, Socket } from "node:net";
import { TardigradeError } from "../../protocols/error.ts";
import type { ByteStream, Dispose, Network } from "./seams.ts";

/** A writer that ignores write() saying false is cut off when this many bytes wait. */
const SEND_BYTES_HARD_MAX = 16 * 1024 * 1024;

export function nodeNetwork(): Network {
  return { connect, listen };
}

function connect(address: { readonly host: string; readonly port: number }): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = new Socket();
    const refuse = (cause: Error): void => {
      socket.destroy();
      reject(
        new TardigradeError(
          "CONNECTION_FAILED",
          `Nothing answers at ${address.host}:${address.port}; check that it runs and that the address is right.`,
          {
            cause,
            context: { component: "network", operation: "connect", host: address.host, port: address.port },
          },
        ),
      );
    };
    socket.once("error", refuse);
    socket.connect(address.port, address.host, () => {
      socket.off("error", refuse);
      resolve(streamOf(socket));
    });
  });
}

function listen(
  address: { readonly host: string; readonly port: number },
  onConnection: (stream: ByteStream) => void,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      onConnection(streamOf(socket));
    });
    server.once("error", (cause) => reject(listenError(address, cause)));
    server.listen(address.port, address.host, () => {
      const bound = server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
      resolve({ port, close: () => closeServer(server, open) });
    });
  });
}

function closeServer(server: Server, open: Set<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
  });
}

function listenError(
  address: { readonly host: string; readonly port: number },
  cause: Error,
): TardigradeError {
  const context = { component: "network", operation: "listen", host: address.host, port: address.port };
  if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") {
    return new TardigradeError(
      "PORT_IN_USE",
      `Another process listens on ${address.host}:${address.port}; stop it or choose another port.`,
      { cause, context },
    );
  }
  return new TardigradeError("CONNECTION_FAILED", `Cannot listen on ${address.host}:${address.port}.`, {
    cause,
    context,
  });
}

function streamOf(socket: Socket): ByteStream {
  let failure: Error | undefined;
  let closed = false;
  socket.setNoDelay(true);
  socket.on("error", (error) => {
    failure = error;
  });
  socket.once("close", () => {
    closed = true;
  });
  return {
    write: (bytes) => {
      if (closed || socket.destroyed) return false;
      // The caller may reuse its bytes at once; the socket keeps what it could not send yet.
      const clear = socket.write(bytes.slice());
      if (socket.writableLength > SEND_BYTES_HARD_MAX) {
        socket.destroy(
          new TardigradeError("QUEUE_FULL", "The other side reads too slowly; the connection was ended."),
        );
      }
      return clear;
    },
    onData: (listener) => subscribe(socket, "data", (bytes: Buffer) => listener(bytes)),
    onDrain: (listener) => subscribe(socket, "drain", listener),
    onClose: (listener) => {
      if (!closed) return subscribe(socket, "close", () => listener(failure));
      let wanted = true;
      queueMicrotask(() => wanted && listener(failure));
      return () => {
        wanted = false;
      };
    },
    close: () => {
      if (!socket.destroyed) socket.end(() => socket.destroy());
    },
  };
}

function subscribe<A extends unknown[]>(
  socket: Socket,
  event: string,
  listener: (...args: A) => void,
): Dispose {
  socket.on(event, listener as (...args: unknown[]) => void);
  return () => {
    socket.off(event, listener as (...args: unknown[]) => void);
  };
}
