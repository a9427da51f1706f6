/**
 * What protocols/table.ts says of a code beside its number: how bad it is, where it comes from, what to do by default. A binary search
 * over two bytes a code: seven steps, no heap. A number that this version does not know is an error to escalate.
 */
import { CATEGORY_COUNT, CODE_COUNT, codeRows, RECOVERY_ESCALATE, SEVERITY_ERROR } from "./codes.generated";

/** What errorCategory() says of a number outside every category. */
export const CATEGORY_NONE: u32 = 255;

/** severity << 3 | recovery. */
function factsOf(code: u32): u32 {
  const rows = codeRows();
  let low = 0;
  let high = CODE_COUNT - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const row = <u32>load<u16>(rows + ((<usize>middle) << 1));
    const number = row >> 6;
    if (number == code) return row & 63;
    if (number < code) low = middle + 1;
    else high = middle - 1;
  }
  return (SEVERITY_ERROR << 3) | RECOVERY_ESCALATE;
}

/** Index into SEVERITIES: 0 info to 4 fatal. */
export function errorSeverity(code: u32): u32 {
  return factsOf(code) >> 3;
}
/** Index into RECOVERIES. */
export function errorRecovery(code: u32): u32 {
  return factsOf(code) & 7;
}
/** Index into CATEGORIES, which is the number's hundred; CATEGORY_NONE outside them. */
export function errorCategory(code: u32): u32 {
  const hundred = code / 100;
  return hundred >= 1 && hundred <= CATEGORY_COUNT ? hundred - 1 : CATEGORY_NONE;
}
