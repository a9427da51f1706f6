/** A gateway's error over MQTT, through a real broker, to who asked on the command line. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BridgeClient } from "../../../host/cli/bridge-client.ts";
import { printError } from "../../../host/cli/output.ts";
import { ANONYMOUS } from "../../../host/gateway/access/principal.ts";
import { topicRules } from "../../../host/gateway/acl.ts";
import { Bridge } from "../../../host/gateway/bridge.ts";
import { ErrorMonitor } from "../../../host/gateway/error-monitor.ts";
import { SharedSite } from "../../../host/gateway/shared-site.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { type EmbeddedBroker, openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import { type FakeService, fakeService } from "../../support/fake-service.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

const SITE = "home";

describe("an error over MQTT", () => {
  let broker: EmbeddedBroker;
  let service: FakeService;
  let monitor: ErrorMonitor;
  let client: BridgeClient;

  beforeEach(async () => {
    const meter = new RecordingMeter();
    const options = { meter, logger: quietLogger };
    broker = await openEmbeddedBroker({
      ...options,
      port: 0,
      rules: topicRules(SITE),
      authenticate: () => ANONYMOUS,
    });
    service = fakeService();
    monitor = new ErrorMonitor({ ...options, clock: systemClock() });
    const bridge = new Bridge({ site: SITE, broker, service, monitor, shared: new SharedSite() });
    await broker.subscribe(`tardi/${SITE}/bridge/request/#`, ({ topic, payload }) =>
      bridge.request(topic, payload),
    );
    client = await BridgeClient.open({ url: `mqtt://127.0.0.1:${broker.port}`, site: SITE });
  });
  afterEach(async () => {
    await client.close();
    monitor.close();
    await broker.close();
  });

  const asked = async (failure: unknown): Promise<TardigradeError> => {
    service.failure = failure;
    const request = client.request("history", { device: "gh-1", metric: "t" });
    return request.then(
      () => {
        throw new Error("it was answered");
      },
      (error: unknown) => error as TardigradeError,
    );
  };

  test("code, message, context and causes are the gateway's", async () => {
    const failure = new TardigradeError("COMMAND_REJECTED", "gh-1 refused open.", {
      context: { component: "commands", device: "gh-1", id: 7, password: "hunter2" },
      cause: new TardigradeError("LINK_DOWN", "The line is cut.", {
        cause: Object.assign(new Error("/dev/ttyUSB0 is gone"), { code: "ENXIO" }),
      }),
    });
    const error = await asked(failure);
    expect(error).toBeInstanceOf(TardigradeError);
    expect([error.code, error.message]).toEqual([failure.code, failure.message]);
    expect(error.context).toEqual({ component: "commands", device: "gh-1", id: 7 });
    const cause = error.cause as TardigradeError;
    expect([cause.code, cause.message]).toEqual(["LINK_DOWN", "The line is cut."]);
    expect(cause.cause).toMatchObject({ code: "ENXIO", message: "" });
    const lines: string[] = [];
    const write = process.stderr.write;
    process.stderr.write = (line) => lines.push(String(line)) > 0;
    printError(error, false);
    process.stderr.write = write;
    expect(lines.join("")).toBe(
      "COMMAND_REJECTED gh-1 refused open.\n  device=gh-1 id=7\n  because: LINK_DOWN The line is cut.\n  because: ENXIO\n",
    );
  });

  test("of a bug nothing is told but that there is one", async () => {
    const error = await asked(new TypeError("secret detail"));
    expect(error.code).toBe("INTERNAL");
    expect(JSON.stringify(error)).not.toContain("secret detail");
    expect(monitor.errors()[0]?.last[0]?.message).toBe("secret detail");
  });
});
