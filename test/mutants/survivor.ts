/** A row of survivors.ts. */
export interface Survivor {
  readonly file: string;
  /** The line as it stands, trimmed. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}
