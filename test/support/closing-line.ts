/**
 * Prints `N passed, N failed, N skipped` as the very last line. TARDIGRADE_COUNTS names a file that gets the three as a line of JSON,
 * for scripts/test.ts to sum up runs.
 */
import { appendFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed" || state === "failed" || state === "skipped") counts[state] += 1;
      }
    }
    // At the exit, after every other reporter; a run that failed without a failed test (coverage, set-up) counts as one.
    process.once("exit", (code) => {
      if (code !== 0 && counts.failed === 0) counts.failed = 1;
      const file = process.env.TARDIGRADE_COUNTS;
      if (file !== undefined) appendFileSync(file, `${JSON.stringify(counts)}\n`);
      console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    });
  }
}
