/** TLS and client certificates, on the embedded broker and on HTTP: who our authority says somebody is. */
import { request } from "node:https";
import { connectAsync, type IClientOptions } from "mqtt";
import { afterAll, describe, expect, test } from "vitest";
import { startApi } from "../../../host/api/server.ts";
import { brokerLogin } from "../../../host/gateway/access/broker-login.ts";
import { topicRules } from "../../../host/gateway/acl.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { createMetrics } from "../../../host/observe/metrics.ts";
import { somePeople, testAccess } from "../../support/access.ts";
import { certificateAuthority, type KeyPair } from "../../support/certificates.ts";
import { fakeService } from "../../support/fake-service.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

const ours = certificateAuthority("ours");
const theirs = certificateAuthority("theirs");
const server = ours.issue("gateway");
const people = await somePeople();
const clock = systemClock();
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers) await close();
});

async function broker(clientCertificateRequired: boolean): Promise<number> {
  const { access } = testAccess(clock, { access: people.access });
  const opened = await openEmbeddedBroker({
    port: 0,
    rules: topicRules("lab"),
    authenticate: brokerLogin({ access, required: true }),
    tls: { ...server, ca: ours.cert, clientCertificateRequired },
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  closers.push(() => opened.close());
  return opened.port;
}

const open = (port: number, options: IClientOptions) =>
  connectAsync(`mqtts://127.0.0.1:${port}`, {
    ca: ours.cert,
    reconnectPeriod: 0,
    connectTimeout: 5000,
    ...options,
  });

describe("the broker over TLS", () => {
  test("a device's certificate is its log-in, for itself only", async () => {
    const port = await broker(false);
    const pot = await open(port, { clientId: "pot", ...ours.issue("pot") });
    await pot.publishAsync("tardi/lab/pot/availability", "online", { qos: 1 });
    const [own, other] = await Promise.all(
      ["tardi/lab/pot/down", "tardi/lab/plug/down"].map((topic) =>
        pot.subscribeAsync(topic, { qos: 1 }).then(
          ([grant]) => grant?.qos,
          () => 128,
        ),
      ),
    );
    expect([own, other]).toEqual([1, 128]);
    await pot.endAsync(true);
    await expect(open(port, { clientId: "plug", ...ours.issue("pot") })).rejects.toThrow();
  });

  test("another authority's certificate, an unknown name, no certificate: nobody; a password still is somebody", async () => {
    const port = await broker(false);
    await expect(open(port, { clientId: "pot", ...theirs.issue("pot") })).rejects.toThrow();
    await expect(open(port, { clientId: "cup", ...ours.issue("cup") })).rejects.toThrow();
    await expect(open(port, { clientId: "pot" })).rejects.toThrow();
    const pot = await open(port, { clientId: "pot", username: "pot", password: people.devices.pot });
    expect(pot.connected).toBe(true);
    await pot.endAsync(true);
  });

  test("where certificates are required a password alone does not reach the broker", async () => {
    const port = await broker(true);
    const login = { clientId: "pot", username: "pot", password: people.devices.pot };
    await expect(open(port, login)).rejects.toThrow();
    const pot = await open(port, { ...login, ...ours.issue("pot") });
    await pot.endAsync(true);
  });

  test("a client that does not know our authority turns away", async () => {
    const port = await broker(false);
    await expect(open(port, { clientId: "pot", ca: theirs.cert })).rejects.toThrow(/certificate/);
  });
});

test("HTTP over TLS: a certificate is a user with its role; others log in", async () => {
  const metrics = createMetrics({ clock });
  const api = await startApi({
    ...testAccess(clock, { access: people.access }),
    port: 0,
    service: fakeService(),
    meter: metrics.meter,
    metrics: metrics.metricsText,
    tls: { ...server, ca: ours.cert },
    clock,
    logger: quietLogger,
  });
  closers.push(() => api.close());
  const ask = (path: string, identity: KeyPair | undefined) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: api.port,
        path,
        ca: ours.cert,
        agent: false as const,
        ...identity,
      };
      const sent = request(options, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on("error", reject);
      sent.end();
    });
  const ana = await ask("/api/session", ours.issue("ana"));
  expect(JSON.parse(ana.text)).toEqual({ name: "ana", role: "operator", authentication: true });
  // A device has no business here, and a name that another authority vouches for is nobody's.
  expect((await ask("/api/devices", ours.issue("pot"))).status).toBe(401);
  expect((await ask("/api/devices", theirs.issue("ana"))).status).toBe(401);
  expect((await ask("/api/devices", undefined)).status).toBe(401);
});
