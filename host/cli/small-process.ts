/** Restarts the process in place with a small nursery; called before anything large is loaded. */

/**
 * Node's default nursery (three spaces of 16 MB) makes a gateway half as large again for nothing, since its garbage is young
 * and small; and V8's four helper threads cost memory that one need not. Both are fixed when the process begins, so the
 * process begins again, in place, with the flags.
 */
const FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=1"];

export function becomeSmall(): void {
  const isSet =
    process.execArgv.some((argument) => argument.startsWith("--max-semi-space-size")) ||
    process.env.NODE_OPTIONS?.includes("semi-space");
  if (isSet || process.platform === "win32" || process.execve === undefined) return;
  process.execve(
    process.execPath,
    [process.execPath, ...FLAGS, ...process.execArgv, ...process.argv.slice(1)],
    process.env,
  );
}
