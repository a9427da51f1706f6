/** The browser's clock: the one place of the page that reads it. */
export const nowMs = (): number => Date.now();

/** Calls again and again until disposed. */
export function every(intervalMs: number, call: () => void): () => void {
  const timer = setInterval(call, intervalMs);
  return () => clearInterval(timer);
}

export function after(delayMs: number, call: () => void): () => void {
  const timer = setTimeout(call, delayMs);
  return () => clearTimeout(timer);
}
