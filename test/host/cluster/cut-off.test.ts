/** A leader cut off by the kernel's packet filter, both ways and one way, while clients still reach it: three nodes in network namespaces. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, run } from "../../support/processes.ts";

test("a leader that is cut off is replaced, lies to nobody, and comes back", {
  timeout: 180_000,
}, async () => {
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const program = join(ROOT, "test/support/cluster/cut-off.ts");
  const { code, stdout, stderr } = await run("unshare", [...asRoot, "--net", process.execPath, program]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout.trim().split("\n");
  const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const verdict = said.pop();
  expect(verdict?.violation).toBeNull();
  expect(said.map(({ cut }) => cut)).toEqual(["both ways", "what it sends", "what it hears"]);
  for (const { old, next, acknowledged } of said) {
    expect(next).not.toBe(old);
    expect(acknowledged).toBeGreaterThanOrEqual(200);
  }
});
