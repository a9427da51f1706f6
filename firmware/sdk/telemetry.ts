/** Readings, events, errors and the log. */
import { Histogram } from "./figures";
import * as tardi from "./tardi";
import { textAppend, textAppendInt, textAppendNumber, textLength, textPtr, textStart } from "./text";

/** Severities of events and errors. */
export const INFO: u32 = 0;
export const WARNING: u32 = 1;
export const ERROR: u32 = 2;
export const CRITICAL: u32 = 3;
export const FATAL: u32 = 4;

const VALUE_NONE: u32 = 0;
const VALUE_NUMBER: u32 = 2;
const unitBuffer: usize = memory.data(16);

/** A named series of readings. */
export class Metric {
  constructor(readonly index: i32) {}

  /** Adds a reading at the running callback's time. 0, or the negative of an error code. */
  record(value: f64): i32 {
    return this.index < 0 ? this.index : tardi.reading(<u32>this.index, value);
  }

  /**
   * Sends what a histogram gathered since its last report, and empties it: the gateway adds reports up. Messages dropped to make room (0 as a rule), or
   * the negative of a code, and then the histogram keeps what was not sent: MESSAGE_OVERSIZE for one whose buckets in use fill more than four messages.
   */
  report(histogram: Histogram): i32 {
    return this.index < 0 ? this.index : histogram.send(<u32>this.index);
  }
}

/** Declares a metric: name up to 24 bytes, unit up to 8, UCUM style ("Cel", "%", "V"). In setup() only; at most 16. */
export function metric(name: string, unit: string): Metric {
  textStart();
  textAppend(unit);
  const unitLength = textLength() < 16 ? textLength() : 16;
  memory.copy(unitBuffer, textPtr(), unitLength);
  textStart();
  textAppend(name);
  return new Metric(tardi.metric(textPtr(), textLength(), unitBuffer, unitLength));
}

/** Sends the readings gathered so far as one message. A batch of 32 is sent by itself. */
export function sendBatch(): i32 {
  return tardi.send_batch();
}

/** Something that happened: name up to 24 bytes. */
export function event(name: string, severity: u32 = INFO): i32 {
  textStart();
  textAppend(name);
  return tardi.event(textPtr(), textLength(), severity, VALUE_NONE, 0);
}

/** The same with a number that goes with it. */
export function eventWith(name: string, value: f64, severity: u32 = INFO): i32 {
  textStart();
  textAppend(name);
  return tardi.event(textPtr(), textLength(), severity, VALUE_NUMBER, value);
}

/** An error record: a number from the error table, the part that failed, and a number that helps. */
export function reportError(code: u32, component: string, detail: i64 = 0, severity: u32 = ERROR): i32 {
  textStart();
  textAppend(component);
  return tardi.error(code, severity, textPtr(), textLength(), detail);
}

/** One line of the log, built piece by piece in a fixed buffer: `line("fan on at ").number(t, 1).text(" Cel").info()`. */
export class Line {
  text(piece: string): Line {
    textAppend(piece);
    return this;
  }
  int(value: i64): Line {
    textAppendInt(value);
    return this;
  }
  number(value: f64, decimals: i32 = 2): Line {
    textAppendNumber(value, decimals);
    return this;
  }
  debug(): i32 {
    return tardi.log(1, textPtr(), textLength());
  }
  info(): i32 {
    return tardi.log(2, textPtr(), textLength());
  }
  warn(): i32 {
    return tardi.log(3, textPtr(), textLength());
  }
  error(): i32 {
    return tardi.log(4, textPtr(), textLength());
  }
}

const shared = new Line();

export function line(piece: string): Line {
  textStart();
  textAppend(piece);
  return shared;
}
