import { defineConfig } from "vitest/config";

/**
 * Rooms whose coverage must stay above the bar, each by itself. host/cli runs as processes of its own in its tests; boards/simulators/uno
 * in the run without counters (scripts/test.ts), where it had 94 to 100 % when they were on.
 */
const ROOMS = [
  "protocols",
  "boards/toolchain",
  "boards/simulators/virtual",
  "boards/definitions",
  "boards/flashers",
  "boards/simulators/pico",
  "host/core",
  "host/io",
  "host/store",
  "host/concurrency",
  "host/cluster",
  "host/world",
  "host/gateway",
  "host/observe",
  "host/api",
  "host/world",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    reporters: ["default", "./test/support/closing-line.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ROOMS.map((room) => `${room}/**/*.ts`),
      // The page's views run in Chromium, where nothing counts lines.
      exclude: ["**/*.generated.ts", "**/*.d.ts", "host/api/ui/{store,chart,clock}.ts"],
      reporter: ["text-summary", "json-summary"],
      reportsDirectory: "build/coverage",
      thresholds: Object.fromEntries(ROOMS.map((room) => [`${room}/**/*.ts`, { lines: 80 }])),
    },
  },
});
