/**
 * The one subscriber of a broker under measurement, in a process of its own: takes everything, acknowledges as its QoS asks,
 * and says when it has as many readings as it was told to expect, with the sum of their CRC-32.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { crc32 } from "node:zlib";
import mqttPacket, { type Packet } from "mqtt-packet";
import { systemClock } from "../host/io/clock.ts";
import { KINDS } from "../protocols/messages.generated.ts";

const [port, filter, qos] = process.argv.slice(2);
const clock = systemClock();
const socket = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
const parser = mqttPacket.parser({ protocolVersion: 4 });
let acknowledgements: Buffer[] = [];
let expected = Number.POSITIVE_INFINITY;
let received = 0;
let checksum = 0;
let cpu = process.cpuUsage();

function say(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function send(packet: Packet): void {
  socket.write(mqttPacket.generate(packet));
}

parser.on("packet", (packet) => {
  if (packet.cmd === "suback") return say({ type: "ready" });
  if (packet.cmd !== "publish") return;
  if (packet.qos === 1) {
    const id = packet.messageId as number;
    acknowledgements.push(Buffer.from([0x40, 2, id >> 8, id & 0xff]));
  }
  const payload = packet.payload as Buffer;
  // A message begins with its map's head, key 0 and the kind; hellos are not counted.
  if (payload[2] !== KINDS.telemetry) return;
  received += 1;
  checksum = (checksum + crc32(payload)) >>> 0;
  if (received < expected) return;
  const { user, system } = process.cpuUsage(cpu);
  say({ type: "received", wallMs: clock.wallMs(), checksum, cpuMs: (user + system) / 1000 });
});
socket.on("data", (bytes) => {
  parser.parse(bytes);
  if (acknowledgements.length === 0) return;
  socket.write(Buffer.concat(acknowledgements));
  acknowledgements = [];
});
socket.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
socket.on("close", () => process.exit(0));

send({
  cmd: "connect",
  protocolId: "MQTT",
  protocolVersion: 4,
  clientId: "load-subscriber",
  clean: true,
  keepalive: 0,
});
send({
  cmd: "subscribe",
  messageId: 1,
  subscriptions: [{ topic: filter ?? "#", qos: Number(qos) === 1 ? 1 : 0 }],
} as unknown as Packet);

for await (const line of createInterface({ input: process.stdin })) {
  expected = (JSON.parse(line) as { readonly expect: number }).expect;
  received = 0;
  checksum = 0;
  cpu = process.cpuUsage();
  say({ type: "armed" });
}
