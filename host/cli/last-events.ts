/** What happened in a world before it was violated. */
const KEPT = 20;

export class LastEvents {
  readonly lines: string[] = [];

  /** Returns the line. */
  add(atMs: number, what: string): string {
    const line = `${(atMs / 1000).toFixed(3).padStart(9)} s  ${what}`;
    this.lines.push(line);
    if (this.lines.length > KEPT) this.lines.shift();
    return line;
  }
}
