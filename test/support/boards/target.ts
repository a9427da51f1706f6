/** A board under test, whatever it is made of: the conformance suite and the oracle see this and nothing else. */

/** 16-bit words of an ADC channel, one a read, from the start again at the end. */
export type Series = readonly (readonly number[])[];

export interface TargetBoard {
  readonly name: "virtual" | "pico" | "posix" | "serial";
  /** Where the board's time is the wall's: how long to wait at least, in its milliseconds, for what must happen. */
  readonly patienceMs?: number;
  /** Bytes from the board's link; set before powerOn(). */
  onBytes: (bytes: Uint8Array) => void;
  write(bytes: Uint8Array): void;
  /** Boots with empty RAM; the journal is what it was. */
  powerOn(): Promise<void>;
  powerCut(): Promise<void>;
  /** Restarts with the retained RAM kept. */
  reset(): Promise<void>;
  /** The board's milliseconds, for the host's side of the link. */
  nowMs(): number;
  /** Lets the board's time pass, in steps short enough for a link to answer; ends early when `until` says so. */
  run(ms: number, until?: () => boolean): Promise<void>;
  /** Level that the app drives, undefined where it cannot be seen. */
  pinLevel(pin: number): number | undefined;
  close(): Promise<void>;
}

/** The app that runs, by its source; and what its sensors see. */
export interface TargetOptions {
  readonly app: string;
  readonly series?: Series;
}

/** What a 12-bit converter makes of a share of full scale, stretched to 16 bits as every board does. */
export function word12(share: number): number {
  const raw = Math.round(Math.min(1, Math.max(0, share)) * 4095);
  return (raw << 4) | (raw >> 8);
}
