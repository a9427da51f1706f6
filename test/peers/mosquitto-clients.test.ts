/** Real clients: mosquitto_sub sees the retained state, mosquitto_pub changes a shadow and gets a command answered. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ended, freePort, MAIN, ROOT, run, running } from "../support/processes.ts";

let folder = "";
let port = 0;
let gateway: ChildProcess;
let boards: ChildProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-peers-"));
  port = await freePort();
  const config = join(folder, "tardigrade.yaml");
  writeFileSync(
    config,
    `data: ${join(folder, "data")}\nmqtt: { port: ${port} }\nhttp: { port: ${await freePort()} }\nlog: { level: warn }\n`,
  );
  const image = join(folder, "image");
  await run(process.execPath, [MAIN, "build", join(ROOT, "firmware/apps/greenhouse/app.ts"), "--out", image]);
  gateway = await running(["gateway", "run", "--config", config, "--announce"], /"ready"/, folder);
  boards = await running(
    ["boards", "run", "--image", image, "--count", "1", "--url", `mqtt://127.0.0.1:${port}`],
    /"connected":1/,
    folder,
  );
});
afterAll(async () => {
  boards?.stdin?.write("stop\n");
  if (boards) await ended(boards);
  gateway?.kill("SIGTERM");
  if (gateway) await ended(gateway);
  rmSync(folder, { recursive: true, force: true });
});

const at = () => ["-h", "127.0.0.1", "-p", `${port}`];
/** One message, or a code that is not 0 after 20 s. */
const next = (topic: string, ...more: string[]) =>
  run("/usr/bin/mosquitto_sub", [...at(), "-t", topic, "-C", "1", "-W", "20", ...more]);
const publish = (topic: string, message: string) =>
  run("/usr/bin/mosquitto_pub", [...at(), "-q", "1", "-t", topic, "-m", message]);

test("mosquitto_sub sees retained state and availability", async () => {
  const state = await next("tardi/home/board-01");
  expect(JSON.parse(state.stdout)).toMatchObject({ state: "online", board: "virtual", app: "greenhouse" });
  expect((await next("tardi/home/board-01/availability")).stdout.trim()).toBe("online");
  expect((await next("tardi/home/bridge/state")).stdout.trim()).toBe("online");
});

test("mosquitto_pub gets a command answered, with its transaction", async () => {
  const answer = next("tardi/home/bridge/response/command");
  // The subscription must stand before the question; the answer is not retained.
  const asked = setInterval(
    () =>
      void publish(
        "tardi/home/bridge/request/command",
        '{"device":"board-01","name":"water","args":{"seconds":4},"transaction":"t-1"}',
      ),
    1000,
  );
  const { stdout } = await answer;
  clearInterval(asked);
  expect(JSON.parse(stdout)).toMatchObject({
    status: "ok",
    transaction: "t-1",
    data: { device: "board-01", state: "acked", result: 4 },
  });
});

test("mosquitto_pub on /set changes what is desired, and the device reports it", async () => {
  const changed = run("/usr/bin/mosquitto_sub", [...at(), "-t", "tardi/home/board-01", "-W", "20"], {
    whenOut: (text, stop) => {
      const last = text.trim().split("\n").at(-1) ?? "";
      if (last.includes('"fanOnC":33') && JSON.parse(last).reported?.fanOnC === 33) stop();
    },
  });
  await publish("tardi/home/board-01/set", '{"fanOnC":33}');
  const states = (await changed).stdout.trim().split("\n");
  expect(JSON.parse(states.at(-1) ?? "{}")).toMatchObject({
    desired: { fanOnC: 33 },
    reported: { fanOnC: 33 },
  });
});

test("mosquitto_pub on another device's topic is refused and counted", async () => {
  await publish("tardi/home/board-01/up", "x");
  const answer = next("tardi/home/bridge/response/errors");
  const asked = setInterval(() => void publish("tardi/home/bridge/request/errors", "{}"), 1000);
  const { stdout } = await answer;
  clearInterval(asked);
  expect(JSON.parse(stdout).data).toContainEqual(expect.objectContaining({ code: "TOPIC_FOREIGN" }));
});
