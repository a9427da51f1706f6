/** The wires of an emulated Uno in its thread: what is sent arrives whole and in order, however far the other side is behind. */
import { expect, test } from "vitest";
import { receiveUno, type UnoMessage, UnoSender, WIRE_BYTES } from "../../../host/cli/uno-wires.ts";
import { bytesRing } from "../../../host/exports/lockfree.ts";

test("serial bytes, shares and levels arrive in order, more of them than the ring holds", async () => {
  const wire = bytesRing({ capacityBytes: WIRE_BYTES });
  const producer = wire.producer();
  const sender = new UnoSender(producer);
  const bytes = Uint8Array.from({ length: 10_000 }, (_, index) => index);
  const sent: UnoMessage[] = Array.from({ length: 20 }, (_, round) => [
    { type: "serial" as const, bytes },
    { type: "analog" as const, channel: round % 6, share: round / 32 },
    { type: "output" as const, pin: 13, level: (round % 2) as 0 | 1 },
  ]).flat();
  for (const message of sent) sender.send(message);
  const got: UnoMessage[] = [];
  const receiving = receiveUno(wire.consumer(), (message) => {
    const last = got.at(-1);
    // What was long comes in pieces.
    if (message.type === "serial" && last?.type === "serial") {
      got[got.length - 1] = { type: "serial", bytes: Uint8Array.of(...last.bytes, ...message.bytes) };
    } else got.push(message);
    if (got.length === sent.length && message.type === "output") producer.close();
  });
  await receiving;
  expect(got).toEqual(sent);
});

test("a board that is gone ends the reading, and holds up nobody who sends", async () => {
  const wire = bytesRing({ capacityBytes: 64 });
  const sender = new UnoSender(wire.producer());
  const reading = receiveUno(wire.consumer(), () => {});
  for (let round = 0; round < 100; round += 1) sender.send({ type: "output", pin: 1, level: 1 });
  wire.abandon("producer");
  await expect(reading).rejects.toMatchObject({ code: "SHARED_PEER_GONE" });
});
