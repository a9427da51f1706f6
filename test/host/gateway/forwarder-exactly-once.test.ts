/**
 * The forwarder against real brokers, killed at random disk operations and cut off at random moments: a subscriber of the
 * other broker gets every reading once. MQTT 3.1.1, section 4.3.3, holds only if the packets and their ids outlive the sender.
 */
import { connect, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { applyHelloRecord, type DeviceRow, newRow } from "../../../host/gateway/device-row.ts";
import { ErrorMonitor } from "../../../host/gateway/error-monitor.ts";
import { type Forwarder, openForwarder } from "../../../host/gateway/forwarder.ts";
import { encodeRecord } from "../../../host/gateway/record.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { forwardLink } from "../../../host/io/mqtt-forward.ts";
import { openSegmentLog, type SegmentLog } from "../../../host/store/segment-log.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { type SeededRandom, seededRandom } from "../../../host/world/random.ts";
import { type RealBroker, startAedes, startMosquitto } from "../../support/brokers.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";
import { openTcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";

const MESSAGES = 300;
const READINGS_EACH = 2;
const clock = systemClock();

function rowOf(): DeviceRow {
  const row = newRow("pot");
  const hello = {
    kind: "hello" as const,
    major: 1,
    minor: 0,
    boot: 1,
    session: 1,
    uptimeUs: 0,
    oldestBoot: 1,
    oldestSeq: 1,
    board: "model",
    app: "test",
    version: "1",
    reason: 0,
    capabilities: 1,
    metrics: [{ name: "temperature", unit: "Cel" }],
    commands: [],
  };
  applyHelloRecord(row, { hello, boot: 1, seq: 0, replaced: false }, 1_000_000);
  return row;
}

async function filledLog(random: SeededRandom): Promise<SegmentLog> {
  const log = await openSegmentLog({ disk: new SimulatedDisk({ random }), folder: "log", clock });
  let offset = 0;
  for (let seq = 1; seq <= MESSAGES; seq += 1) {
    const readings = Array.from({ length: READINGS_EACH }, (_, index) => ({
      metric: 0,
      offsetUs: index,
      value: seq,
    }));
    offset = log.append(
      encodeRecord({
        device: "pot",
        stamp: BigInt(seq),
        wallMs: 1_000_000 + seq,
        body: {
          type: "message",
          message: { kind: "telemetry", boot: 1, seq, uptimeUs: seq * 1000, readings },
        },
      }),
    );
  }
  await log.durable(offset);
  return log;
}

/**
 * Counts every (device, boot, seq, index) at the other broker, to which it stays connected. Its session is a clean one, because
 * aedes 2.0.0-beta.1 loses a few QoS 2 messages in a thousand to a subscriber with a persistent session, whoever sends them.
 */
class Subscriber {
  readonly counts = new Map<string, number>();
  readonly client: MqttClient;

  constructor(port: number) {
    this.client = connect(`mqtt://127.0.0.1:${port}`, { clientId: "counter" });
    this.client.on("message", (_topic, payload) => {
      const { device, boot, seq, readings } = JSON.parse(payload.toString());
      readings.forEach((_: unknown, index: number) => {
        const key = `${device} ${boot} ${seq} ${index}`;
        this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
      });
    });
  }

  async ready(): Promise<this> {
    await this.client.subscribeAsync("tardi/lab/+/telemetry", { qos: 2 });
    return this;
  }
}

interface Life {
  readonly forwarder: Forwarder;
  readonly proxy: Awaited<ReturnType<typeof openTcpProxy>>;
}

describe.each([
  ["aedes", startAedes],
  ["mosquitto", startMosquitto],
] as const)("forwarding to %s", (_name, start) => {
  let broker: RealBroker;
  let subscriber: Subscriber;

  beforeEach(async () => {
    broker = await start();
    subscriber = await new Subscriber(broker.port).ready();
  });
  afterEach(async () => {
    await subscriber.client.endAsync(true);
    await broker.close();
  });

  async function begin(disk: SimulatedDisk, log: SegmentLog, random: SeededRandom): Promise<Life> {
    const proxy = await openTcpProxy(broker.port);
    const meter = new RecordingMeter();
    const row = rowOf();
    const forwarder = await openForwarder({
      link: forwardLink({
        url: `mqtt://127.0.0.1:${proxy.port}`,
        clientId: "forwarder",
        backoff: () => 5,
        logger: quietLogger,
      }),
      target: "test",
      site: "lab",
      disk: disk.mount(),
      clock,
      random,
      log,
      applied: () => log.syncedEnd - 1,
      row: () => row,
      monitor: new ErrorMonitor({ clock, meter, logger: quietLogger }),
      meter,
      logger: quietLogger,
    });
    return { forwarder, proxy };
  }

  test.each([11, 12, 13])("every reading arrives once, seed %i", async (seed) => {
    const random = seededRandom(seed);
    const log = await filledLog(random.fork("log"));
    const disk = new SimulatedDisk({ random: random.fork("disk"), clock, syncMs: 1 });
    const complete = (): boolean => subscriber.counts.size === MESSAGES * READINGS_EACH;

    let lives = 0;
    for (; lives < 12 && !complete(); lives += 1) {
      // Some die while they open, which must harm no more than dying later.
      disk.crashAfter(1 + random.below(40), random.chance(0.5) ? "power" : "kill");
      const life = await begin(disk, log, random.fork(`life ${lives}`)).catch(() => undefined);
      const cuts = random.below(3);
      for (let cut = 0; cut < cuts && disk.crashArmed && life !== undefined; cut += 1) {
        const seen = subscriber.counts.size;
        await until(
          "progress, completion or a crash",
          () => subscriber.counts.size > seen || !disk.crashArmed || complete(),
        );
        life.proxy.cut();
      }
      await until("a crash or completion", () => !disk.crashArmed || complete());
      disk.disarm();
      await life?.proxy.end();
      await life?.forwarder.close().catch(() => undefined);
    }
    expect(lives).toBeGreaterThan(2);

    const last = await begin(disk, log, random.fork("last"));
    await until("everything is delivered", () => complete() && last.forwarder.outstandingCount === 0);
    await last.forwarder.close();
    await last.proxy.end();
    await log.close();
    expect([...subscriber.counts.values()].filter((count) => count !== 1)).toEqual([]);
    expect(subscriber.counts.size).toBe(MESSAGES * READINGS_EACH);
  });
});
