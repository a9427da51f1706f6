import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import { expect, test } from "vitest";
import { nodeNetwork } from "../../../host/io/network.ts";
import type { ByteStream } from "../../../host/io/seams.ts";

test("a connection that is reset tells why", async () => {
  let accept: (stream: ByteStream) => void = () => undefined;
  const accepted = new Promise<ByteStream>((resolve) => {
    accept = resolve;
  });
  const server = await nodeNetwork().listen({ host: "127.0.0.1", port: 0 }, (stream) => accept(stream));
  const socket = connectSocket(server.port, "127.0.0.1");
  const stream = await accepted;
  stream.onData(() => undefined);
  const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve));
  socket.resetAndDestroy();
  expect(await closed).toMatchObject({ code: "ECONNRESET" });
  await server.close();
});

test("a writer that does not wait is cut off at a bound", async () => {
  const server = createServer((socket) => socket.pause());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const stream = await nodeNetwork().connect({ host: "127.0.0.1", port });
  const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve));
  for (let written = 0; written < 40; written += 1) stream.write(new Uint8Array(1024 * 1024));
  expect(await closed).toMatchObject({ code: "QUEUE_FULL" });
  server.close();
});

test("an address that is not this machine's cannot be listened on", async () => {
  const listening = nodeNetwork().listen({ host: "192.0.2.1", port: 0 }, () => undefined);
  await expect(listening).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
});
