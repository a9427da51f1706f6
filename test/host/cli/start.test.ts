/**
 * The main job as a user runs it: processes, sockets and disk for real. Times here are how long it runs, never what is
 * asserted.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, MAIN, type Ran, ROOT, run } from "../../support/processes.ts";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tardi = (args: readonly string[], whenOut?: (text: string, stop: () => void) => void): Promise<Ran> =>
  run(process.execPath, [MAIN, ...args], { cwd: folder, ...(whenOut ? { whenOut } : {}) });

const ports = async () => ["--port", `${await freePort()}`, "--http-port", `${await freePort()}`];

describe("tardi start", () => {
  test("ten boards, nothing lost, nothing twice, a report", async () => {
    const report = join(folder, "r.json");
    const ran = await tardi(["start", "--for", "12", "--report", report, ...(await ports())]);
    expect(ran.stderr).toMatch(/readings produced/);
    expect(ran.code).toBe(0);
    const { boards, telemetry, firmata, commands, gateway } = JSON.parse(readFileSync(report, "utf8"));
    expect(boards).toEqual({ virtual: 10, pico: 1, uno: 1 });
    expect(firmata.stored).toBeGreaterThan(0);
    expect(firmata.forwarded).toBe(firmata.stored);
    expect(telemetry).toMatchObject({ lost: 0, duplicated: 0, droppedByDevice: 0 });
    expect(telemetry.produced).toBeGreaterThan(100);
    expect(telemetry.stored).toBe(telemetry.produced);
    expect(telemetry.forwarded).toBe(telemetry.produced);
    expect(commands.acked).toBeGreaterThan(0);
    expect(gateway).toMatchObject({ restarts: 0, rssMb: expect.any(Number), cpuPercent: expect.any(Number) });
  });

  test("the gateway killed with -9 every four seconds: the same, and the data that is kept can be backed up and restored", async () => {
    const data = join(folder, "kept");
    const ran = await tardi([
      "start",
      "--for",
      "18",
      "--kill-gateway",
      "4",
      "--json",
      "--data",
      data,
      ...(await ports()),
    ]);
    const { telemetry, gateway } = JSON.parse(ran.stdout);
    // How many restarts the seconds have room for is the machine's matter.
    expect(gateway.restarts).toBeGreaterThanOrEqual(1);
    expect(telemetry).toMatchObject({ lost: 0, duplicated: 0, droppedByDevice: 0 });
    expect(telemetry.stored).toBe(telemetry.produced);
    expect(ran.code).toBe(0);

    const backup = join(folder, "backup.tgz");
    const backed = await tardi(["backup", backup, "--data", join(data, "gateway"), "--json"]);
    expect(JSON.parse(backed.stdout)).toMatchObject({ files: expect.any(Number) });
    const restored = join(folder, "restored");
    expect((await tardi(["restore", backup, "--data", restored])).code).toBe(0);
    expect(readdirSync(join(restored, "log")).length).toBeGreaterThan(0);
    const again = await tardi(["restore", backup, "--data", restored]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("is not empty") });
    const whole = readFileSync(backup);
    // A flip inside a run of zeros can leave what is unpacked the same; the stream's checksum and its end cannot.
    const flipped = Buffer.from(whole);
    flipped[whole.length - 6] = (flipped[whole.length - 6] as number) ^ 1;
    for (const damaged of [flipped, whole.subarray(0, whole.length >> 1), Buffer.from("no archive")]) {
      writeFileSync(backup, damaged);
      const refused = await tardi(["restore", backup, "--data", join(folder, "other")]);
      expect(refused.stderr).toContain("BACKUP_INVALID");
    }
    expect(existsSync(join(folder, "other"))).toBe(false);
  });
});

describe("a gateway from the command line", () => {
  test("answers devices, shadow, command and monitor; a second one on its port or data says why it cannot start", {
    timeout: 300_000,
  }, async () => {
    const [mqtt, http] = [await freePort(), await freePort()];
    const config = join(folder, "tardigrade.yaml");
    writeFileSync(
      config,
      `site: home\ndata: ${join(folder, "data")}\nmqtt: { port: ${mqtt} }\nhttp: { port: ${http} }\nlog: { level: warn }\n`,
    );
    const at = ["--url", `mqtt://127.0.0.1:${mqtt}`];
    const image = join(folder, "image");
    expect(
      (await tardi(["build", join(ROOT, "firmware/apps/greenhouse/app.ts"), "--out", image, "--json"])).code,
    ).toBe(0);
    let talk: Promise<void> | undefined;
    const gateway = await tardi(["gateway", "run", "--config", config, "--announce"], (out, stop) => {
      if (talk || !out.includes('"ready"')) return;
      talk = converse().finally(stop);
    });
    await talk;
    expect(gateway.code).toBe(0);

    async function converse(): Promise<void> {
      expect((await tardi(["devices", ...at])).stdout).toContain("No device has said hello");
      const port = await tardi(["gateway", "run", "--config", config]);
      expect(port).toMatchObject({ code: 1, stderr: expect.stringMatching(/PORT_IN_USE|LOG_LOCKED/) });
      expect((await tardi(["backup", "x.tgz", "--config", config])).stderr).toContain("LOG_LOCKED");
      const boards = spawn(
        process.execPath,
        [MAIN, "boards", "run", "--image", image, "--count", "2", ...at],
        { stdio: ["pipe", "pipe", "inherit"] },
      );
      await new Promise<void>((resolve) => {
        boards.stdout.on("data", (chunk: Buffer) => {
          if (/"connected":2/.test(chunk.toString())) resolve();
        });
      });
      try {
        expect(JSON.parse((await tardi(["devices", "--json", ...at])).stdout)).toHaveLength(2);
        expect((await tardi(["devices", ...at])).stdout).toMatch(
          /board-01 +online +virtual +greenhouse 1\.0\.0/,
        );
        expect((await tardi(["command", "board-01", "water", "seconds=2", ...at])).stdout).toContain(
          "board-01 answered water: 2",
        );
        expect((await tardi(["command", "board-01", "fly", ...at])).stderr).toMatch(
          /COMMAND_REJECTED.*no command of that name/,
        );
        expect((await tardi(["command", "nobody", "water", ...at])).stderr).toContain("DEVICE_UNKNOWN");
        const set = await tardi(["shadow", "set", "board-02", "fanOnC=31.5", "--json", ...at]);
        expect(JSON.parse(set.stdout).desired).toEqual({ fanOnC: 31.5 });
        expect((await tardi(["shadow", "get", "board-02", ...at])).stdout).toMatch(/fanOnC +31\.5/);
        expect((await tardi(["monitor", ...at])).stdout).toContain("2 of 2 devices online");
        expect((await tardi(["devices", "--site", "elsewhere", ...at])).stderr).toContain(
          "GATEWAY_UNREACHABLE",
        );
      } finally {
        boards.stdin.write("stop\n");
        await new Promise((resolve) => boards.once("close", resolve));
      }
    }
  });
});

describe("says what to do", () => {
  test("no broker", async () => {
    const ran = await tardi(["devices", "--url", `mqtt://127.0.0.1:${await freePort()}`]);
    expect(ran).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/BROKER_UNREACHABLE.*tardi gateway run/),
    });
  });
  test("a wrong configuration names its line", async () => {
    writeFileSync(join(folder, "bad.yaml"), "site: home\nmqt:\n  port: 1\n");
    const ran = await tardi(["gateway", "run", "--config", "bad.yaml"]);
    expect(ran).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/CONFIG_INVALID[\s\S]*bad\.yaml:2[\s\S]*mqtt/),
    });
  });
  test("beyond loopback without authentication", async () => {
    writeFileSync(join(folder, "open.yaml"), "http:\n  host: 0.0.0.0\n");
    const ran = await tardi(["gateway", "run", "--config", "open.yaml"]);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining("AUTH_REQUIRED") });
  });
  test("an unknown command, a wrong number, a pair that is none", async () => {
    expect((await tardi(["strat"])).stderr).toContain("Did you mean start");
    expect((await tardi(["start", "--virtual", "0"])).stderr).toContain("must be 1 to 5000");
    expect((await tardi(["command", "a", "b", "c"])).stderr).toContain("name=value");
    expect((await tardi(["--help"])).stdout).toContain("monitor");
  });
  test("doctor finds a serial port that is not there", async () => {
    const config = [
      `data: ${join(folder, "doc")}`,
      `mqtt: { port: ${await freePort()} }`,
      `http: { port: ${await freePort()} }`,
      "serial: [{ port: /dev/absent, device: pot }]",
    ];
    writeFileSync(join(folder, "serial.yaml"), config.join("\n"));
    const { code, stdout } = await tardi(["doctor", "--config", "serial.yaml"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/serialport +ok/);
    expect(stdout).toMatch(/port of pot +warning +\/dev\/absent is not there/);
  });
  test("doctor finds a taken port", async () => {
    const port = await freePort();
    writeFileSync(
      join(folder, "doctor.yaml"),
      `data: ${join(folder, "doc")}\nmqtt: { port: ${port} }\nhttp: { port: ${await freePort()} }\n`,
    );
    const fine = await tardi(["doctor", "--config", "doctor.yaml", "--json"]);
    expect(fine.code).toBe(0);
    const server = createServer().listen(port, "127.0.0.1");
    const ran = await tardi(["doctor", "--config", "doctor.yaml"]);
    server.close();
    expect(ran).toMatchObject({ code: 1, stdout: expect.stringMatching(/MQTT port +failed.*is taken/) });
    expect(existsSync(join(folder, "doc"))).toBe(false);
  });
});
