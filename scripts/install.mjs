/**
 * Runs before every npm script that needs the dependencies, with whatever Node started npm and with nothing installed:
 * it calls `npm ci` when the lockfile's hash differs from the one noted after the last install. An unchanged lockfile costs
 * one hash of one file.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".lock-hash");
const hash = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== hash) {
  console.error("tardigrade: installing dependencies (once for each lockfile, about a minute)");
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm, "ci"]] : ["npm", ["ci"]];
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, npm_config_loglevel: "error" },
  });
  if (result.status !== 0) {
    console.error(
      "tardigrade: `npm ci` failed; its own message stands above. Mend it and run the command again.",
    );
    process.exit(result.status ?? 1);
  }
  writeFileSync(stamp, hash);
}
