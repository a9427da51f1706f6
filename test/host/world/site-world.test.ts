/** Simulated sites: two gateways and twenty boards with the shipped firmware, all faults. `npm run test:deep` runs more. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { BoardImage } from "../../../boards/simulators/virtual/board.ts";
import { buildApp, buildSystem } from "../../../boards/toolchain/build.ts";
import { SITE_FAULTS } from "../../../host/world/site/site-faults.ts";
import { runSiteWorld } from "../../../host/world/site/site-world.ts";
import { MAIN, ROOT, run } from "../../support/processes.ts";

const SEEDS = process.env.TARDIGRADE_DEEP === "1" ? 2_000 : 40;
const A_TEST = 20;
let system: WebAssembly.Module;
let image: BoardImage;

beforeAll(async () => {
  const app = await buildApp({ path: join(ROOT, "firmware/apps/greenhouse/app.ts"), board: "virtual" });
  system = await WebAssembly.compile((await buildSystem()).wasm);
  image = {
    app: await WebAssembly.compile(app.wasm),
    ...{ name: "greenhouse", version: "1.0.0", capabilities: app.capabilities },
  };
}, 60_000);

const world = (
  seed: number,
  forMs = 60_000,
  faults = SITE_FAULTS as readonly (typeof SITE_FAULTS)[number][],
) => runSiteWorld({ seed, forMs, gateways: 2, boards: 20, faults, system, image });

describe("all faults", () => {
  test.each(Array.from({ length: SEEDS / A_TEST }, (_, at) => at * A_TEST + 1))(
    "seeds from %i on",
    { timeout: 300_000 },
    async (from) => {
      for (let seed = from; seed < from + A_TEST; seed += 1) {
        const { violation, faults, messages, readings } = await world(seed);
        expect(violation, `seed ${seed}`).toBeUndefined();
        expect(faults).toBeGreaterThan(30);
        expect(messages).toBeGreaterThan(100);
        expect(readings).toBeGreaterThan(messages);
      }
    },
  );
});

test("a calm site stores all that is measured", async () => {
  const { violation, crashes, readings } = await world(1, 30_000, []);
  expect(violation).toBeUndefined();
  expect(crashes).toBe(0);
  // Twenty boards, three readings a second, less what connecting takes.
  expect(readings).toBeGreaterThanOrEqual(20 * 3 * 29);
});

test("a seed is a world", async () => {
  const [first, again, other] = [await world(5), await world(5), await world(6)];
  expect(again).toEqual(first);
  expect(other.digest).not.toBe(first.digest);
});

test("from the command line: what was counted, and what is wrong with a fault that no site has", async () => {
  const site = ["world", "run", "--gateways", "2", "--boards", "4", "--for", "10s"];
  const told = await run(process.execPath, [MAIN, ...site, "--json"]);
  expect(told.stderr).toBe("");
  expect(JSON.parse(told.stdout)).toMatchObject({ seed: 1, readings: expect.any(Number) });
  const refused = await run(process.execPath, [MAIN, ...site, "--faults", "rust"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/ARGUMENT A site has no fault "rust": loss, /);
}, 60_000);
