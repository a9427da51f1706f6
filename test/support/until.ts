/** Waits for a condition of the real world; throws with the name of what did not come. */
export async function until(
  what: string,
  condition: () => boolean,
  options: { readonly limitMs?: number } = {},
): Promise<void> {
  const endMs = performance.now() + (options.limitMs ?? 30_000);
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`It did not come to this: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
