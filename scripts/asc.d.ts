/** The part of the compiler's API that we call. Its own types declare AssemblyScript's globals, which clash with Node's. */
export function main(
  argv: readonly string[],
  options?: Record<string, unknown>,
): Promise<{ error: Error | null; stdout: { toString(): string }; stderr: { toString(): string } }>;
declare const asc: { main: typeof main };
export default asc;
