/**
 * The page in Chromium, on a gateway and virtual boards that are processes of their own: what a person would see and do. Screenshots go to
 * build/screenshots.
 */
import type { ChildProcess } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, MAIN, ROOT, run, running } from "../support/processes.ts";
import { STANDARD_FIRMATA } from "../support/uno-stream.ts";
import { until } from "../support/until.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WEATHER = createRequire(import.meta.url).resolve("@observablehq/sample-datasets/weather.csv");
const SHOTS = join(ROOT, "build/screenshots");
const DEVICES = 2000;
/** And three greenhouses and an Uno. */
const FLEET = DEVICES + 4;
const WAIT = { timeout: 30_000 };

let folder = "";
let mqttPort = 0;
let httpPort = 0;
let gateway: ChildProcess;
let boards: ChildProcess;
let browser: Browser;
/** As the emulated processor drives its pin. */
let unoLed = "";
const tokens = { viewer: "", operator: "" };
const failures: string[] = [];

const startGateway = () => running(["gateway", "run", "--announce"], /"ready"/, folder);
const ended = (child: ChildProcess, signal: NodeJS.Signals) =>
  new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.kill(signal);
  });

/** A browser of its own, logged in by token as a person would. */
async function open(
  token: string,
  hash = "/",
): Promise<{ readonly page: Page; readonly context: BrowserContext }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => failures.push(String(error.stack)));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) failures.push(message.text());
  });
  await page.goto(`http://127.0.0.1:${httpPort}/#${hash}`);
  await page.getByLabel("Password or token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("live", { exact: true }).waitFor(WAIT);
  return { page, context };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tardigrade-page-"));
  mqttPort = await freePort();
  httpPort = await freePort();
  const unoPort = await freePort();
  const config = [
    "site: lab",
    `mqtt: { port: ${mqttPort} }`,
    `http: { port: ${httpPort}, requestsPerSecond: 1000 }`,
    "plain: { families: [zigbee2mqtt] }",
    `firmata: [{ port: "tcp://127.0.0.1:${unoPort}", device: uno-01, components: [`,
    "  { name: potentiometer, kind: sensor, analog: 0, everyMs: 500 },",
    "  { name: led, kind: led, pin: 13 }] }]",
    "log: { level: warn }",
  ];
  writeFileSync(join(folder, "tardigrade.yaml"), config.join("\n"));
  const tardi = (...args: string[]) => run(process.execPath, [MAIN, ...args], { cwd: folder });
  for (const role of ["viewer", "operator"] as const) {
    const made = await tardi("token", "add", role, "--role", role, "--json");
    tokens[role] = JSON.parse(made.stdout).token;
  }
  await tardi("build", join(ROOT, "firmware/apps/greenhouse/app.ts"), "--out", join(folder, "image"));
  gateway = await startGateway();
  const url = `mqtt://127.0.0.1:${mqttPort}`;
  const args = ["boards", "run", "--image", "image", "--url", url, "--site", "lab", "--count", "3"];
  const series = ["--csv", WEATHER, "--column", "temp_max:-40:85", "--column", "precipitation:-20:60"];
  const uno = ["--uno-hex", STANDARD_FIRMATA, "--uno-port", `${unoPort}`];
  boards = await running([...args, ...series, ...uno, "--prefix", "greenhouse"], /"connected":3/, folder);
  boards.stdout?.on("data", (chunk: Buffer) => {
    unoLed = /.*"unoLed":([01])/s.exec(chunk.toString())?.[1] ?? unoLed;
  });
  const executablePath = CHROMIUM.find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new Error("This test needs Chromium: install the Debian package `chromium`.");
  browser = await chromium.launch({ executablePath, args: FLAGS });
  mkdirSync(SHOTS, { recursive: true });
});
afterAll(async () => {
  await browser?.close();
  if (boards !== undefined) await ended(boards, "SIGTERM");
  if (gateway !== undefined) await ended(gateway, "SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

const shownValue = (page: Page, metric: string) => page.locator(`[data-metric="${metric}"] .value`);

describe("an operator", () => {
  test("sees a live value change, without doing anything", async () => {
    const { page, context } = await open(tokens.operator, "/device/greenhouse-01");
    await page.locator("figure.chart canvas").waitFor(WAIT);
    const age = page.locator('[data-metric="temperature"] .age');
    await age.filter({ hasText: /now|s ago/ }).waitFor(WAIT);
    const before = await page.locator("figcaption").textContent();
    await page.waitForFunction(
      (text) =>
        document.querySelector("figcaption")?.textContent !== text &&
        document.querySelector(".uplot") !== null,
      before,
      WAIT,
    );
    expect(await shownValue(page, "temperature").textContent()).toMatch(/[0-9].* °C/);
    await context.close();
  });

  test("runs a command and sees it acknowledged with its result", async () => {
    const { page, context } = await open(tokens.operator, "/device/greenhouse-01");
    await page.getByLabel("Command", { exact: true }).selectOption("water");
    await page.getByLabel("Arguments, as name=value").fill("seconds=5");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText(/water was acknowledged with 5 after [0-9]+ ms/).waitFor(WAIT);
    await page.locator(".past .acked").first().waitFor(WAIT);
    await page.getByLabel("Arguments, as name=value").fill("nonsense");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText('"nonsense" is not name=value').waitFor(WAIT);
    await context.close();
  });

  test("edits the shadow; it reaches the board and comes back reported", async () => {
    const { page, context } = await open(tokens.operator, "/device/greenhouse-02");
    const row = page.locator('[data-key="fanOnC"]');
    await row.waitFor(WAIT);
    await row.getByRole("textbox").fill("29.5");
    await row.getByRole("button", { name: "Save" }).click();
    await row
      .locator("td")
      .last()
      .filter({ hasText: /^29.5$/ })
      .waitFor(WAIT);
    await context.close();
  });

  test("sees the potentiometer of the emulated Uno move, and switches its LED", async () => {
    const { page, context } = await open(tokens.operator, "/device/uno-01");
    await page.getByText("StandardFirmata").first().waitFor(WAIT);
    const knob = shownValue(page, "potentiometer");
    await knob.filter({ hasText: "%" }).waitFor(WAIT);
    const before = await knob.textContent();
    await page.waitForFunction(
      (text) => document.querySelector('[data-metric="potentiometer"] .value')?.textContent !== text,
      before,
      WAIT,
    );
    await page.getByLabel("Command", { exact: true }).selectOption("set");
    await page.getByLabel("Arguments, as name=value").fill("led=true");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText(/set was acknowledged with true/).waitFor(WAIT);
    await page.locator('[data-key="led"]').filter({ hasText: "true" }).waitFor(WAIT);
    await until("the LED's pin is high", () => unoLed === "1");
    await page.screenshot({ path: join(SHOTS, "uno.png") });
    await context.close();
  });

  test("goes on after a restart of the gateway, logged in anew and without a reload", async () => {
    const { page, context } = await open(tokens.operator, "/device/greenhouse-03");
    await page.evaluate(() => {
      (globalThis as unknown as { kept: boolean }).kept = true;
    });
    await ended(gateway, "SIGKILL");
    await page.locator(".banner").waitFor(WAIT);
    gateway = await startGateway();
    // Log-ins live in the gateway's memory.
    await page.getByLabel("Password or token").fill(tokens.operator, WAIT);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("live", { exact: true }).waitFor(WAIT);
    await page
      .locator('[data-metric="temperature"] .age')
      .filter({ hasText: /now|^[0-9] s ago/ })
      .waitFor(WAIT);
    expect(await page.evaluate(() => (globalThis as unknown as { kept: boolean }).kept)).toBe(true);
    await context.close();
  });
});

test("the gateway's view shows latencies and links", async () => {
  const { page, context } = await open(tokens.viewer, "/gateway");
  const sync = page.locator("tr", { hasText: "Sync of the log" });
  await sync.locator("td").first().filter({ hasText: /ms$/ }).waitFor(WAIT);
  await page.locator('[data-link="uno-01"]').filter({ hasText: "online" }).waitFor(WAIT);
  await page.screenshot({ path: join(SHOTS, "gateway-links.png"), fullPage: true });
  await context.close();
});

test("a viewer sees everything and can command nothing, on the page and behind it", async () => {
  const { page, context } = await open(tokens.viewer, "/device/greenhouse-01");
  await shownValue(page, "temperature").filter({ hasText: "°C" }).waitFor(WAIT);
  expect(await page.getByRole("button", { name: "Run" }).isDisabled()).toBe(true);
  expect(await page.locator('[data-key="fanOnC"] input').isDisabled()).toBe(true);
  expect(await page.getByText("Your role is viewer").count()).toBeGreaterThan(0);
  const status = await page.evaluate(async () => {
    const body = JSON.stringify({ name: "water", args: { seconds: 1 } });
    const headers = { "content-type": "application/json" };
    return (await fetch("/api/devices/greenhouse-01/commands", { method: "POST", headers, body })).status;
  });
  expect(status).toBe(403);
  const cookies = await page.evaluate(() => document.cookie);
  expect(cookies).toBe("");
  expect(await page.content()).not.toContain(tokens.viewer);
  await context.close();
});

describe("the fleet", () => {
  beforeAll(async () => {
    const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { clientId: "zigbee" });
    for (let at = 0; at < DEVICES; at += 1) {
      const payload = JSON.stringify({
        temperature: 15 + (at % 100) / 10,
        humidity: 40 + (at % 30),
        battery: 100 - (at % 90),
        state: at % 2 ? "ON" : "OFF",
      });
      const sent = client.publishAsync(`zigbee2mqtt/sensor ${String(at).padStart(4, "0")}`, payload, {
        qos: 1,
      });
      if (at % 100 === 99) await sent;
    }
    await client.endAsync();
  });

  test("of 2,000 devices keeps at most 80 rows in the document, wherever one scrolls, and finds any", async () => {
    const { page, context } = await open(tokens.viewer);
    await page.locator("output", { hasText: `${FLEET} of ${FLEET}` }).waitFor(WAIT);
    const rows = () => page.locator("tbody tr[data-device]").count();
    const seen = new Set<string>();
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      await page.locator(".scroll").evaluate((box, at) => {
        box.scrollTop = box.scrollHeight * at;
      }, part);
      await page.waitForTimeout(100);
      const count = await rows();
      expect(count).toBeGreaterThan(8);
      expect(count).toBeLessThanOrEqual(80);
      for (const id of await page
        .locator("tbody tr[data-device]")
        .evaluateAll((all) => all.map((row) => row.getAttribute("data-device") ?? "")))
        seen.add(id);
    }
    expect(seen.size).toBeGreaterThan(80);
    expect([...seen]).toContain("zigbee2mqtt-sensor-1999");
    await page.getByLabel("Search").fill("sensor-1234");
    await page.locator("output", { hasText: `1 of ${FLEET}` }).waitFor(WAIT);
    expect(await rows()).toBe(1);
    await page.getByLabel("Search").fill("no such thing");
    await page.getByText("Nothing matches").waitFor(WAIT);
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByRole("button", { name: "Errors" }).click();
    await page.locator('th[aria-sort="ascending"]').filter({ hasText: "Errors" }).waitFor(WAIT);
    await context.close();
  });

  test("no view has a serious fault by axe-core, in light and dark; screenshots at three widths", async () => {
    const { page, context } = await open(tokens.operator);
    const views = { fleet: "/", device: "/device/greenhouse-01", gateway: "/gateway", errors: "/errors" };
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const [name, hash] of Object.entries(views)) {
        await page.goto(`http://127.0.0.1:${httpPort}/#${hash}`);
        await page.locator("h1").waitFor(WAIT);
        if (name === "device") await page.locator("figure.chart canvas").waitFor(WAIT);
        for (const width of [360, 800, 1440]) {
          await page.setViewportSize({ width, height: 900 });
          await page.waitForTimeout(150);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(overflow, `${name} at ${width} scrolls sideways`).toBeLessThanOrEqual(0);
          await page.screenshot({ path: join(SHOTS, `${name}-${width}-${scheme}.png`) });
        }
        const faults = await axe(page);
        expect(faults, `${name} in ${scheme}`).toEqual([]);
      }
    }
    await context.close();
  });
});

/** Serious and critical faults; the script is evaluated, since the page's policy lets no other in. */
async function axe(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(AXE, "utf8"));
  return page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await checker.run();
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html.slice(0, 160)}`);
  });
}

test("nothing failed inside the page, and its policy was broken by nothing", () => {
  expect(failures).toEqual([]);
});

test("first paint takes less than 100 KB of script", () => {
  const built = join(ROOT, "build/ui");
  const html = readFileSync(join(built, "index.html"), "utf8");
  const first = readdirSync(built).filter((name) => name.endsWith(".js") && html.includes(name));
  expect(first).toHaveLength(1);
  const main = readFileSync(join(built, first[0] as string), "utf8");
  const imported = [...main.matchAll(/from"\.\/([^"]+)"/g)].map((match) => match[1] as string);
  const bytes = [...first, ...imported].reduce((sum, name) => sum + statSync(join(built, name)).size, 0);
  expect(bytes).toBeLessThan(100_000);
});
