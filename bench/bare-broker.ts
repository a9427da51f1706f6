/** aedes as it comes, without a gateway, in a process of its own: the embedded broker's bare rate. */
import { createServer } from "node:net";
import { Aedes } from "aedes";

const aedes = await Aedes.createBroker({ concurrency: 0 });
const server = createServer({ noDelay: true }, (socket) => aedes.handle(socket));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ type: "ready", port })}\n`);
});
