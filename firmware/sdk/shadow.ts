/**
 * The shadow: what the fleet's owner wants (desired) and what the device says it is (reported). Declared keys are
 * applied and reported by the system; the app reads them, and may report another value (clamped, or measured).
 */
import * as tardi from "./tardi";
import { textAppend, textLength, textPtr, textStart } from "./text";

const TYPE_BOOL: u32 = 1;
const TYPE_NUMBER: u32 = 2;

function declare_(name: string, type: u32, value: f64): i32 {
  textStart();
  textAppend(name);
  return tardi.shadow_declare(textPtr(), textLength(), type, value);
}

export class ShadowNumber {
  constructor(readonly slot: i32) {}
  get value(): f64 {
    return tardi.shadow_value(<u32>this.slot);
  }
  report(value: f64): i32 {
    return tardi.shadow_report(<u32>this.slot, value);
  }
}

export class ShadowBool {
  constructor(readonly slot: i32) {}
  get value(): bool {
    return tardi.shadow_value(<u32>this.slot) != 0;
  }
  report(value: bool): i32 {
    return tardi.shadow_report(<u32>this.slot, value ? 1 : 0);
  }
}

/** Declares a key with the value it has until the fleet wants another. In setup() only; at most 16 keys. */
export function shadowNumber(key: string, initial: f64): ShadowNumber {
  return new ShadowNumber(declare_(key, TYPE_NUMBER, initial));
}
export function shadowBool(key: string, initial: bool): ShadowBool {
  return new ShadowBool(declare_(key, TYPE_BOOL, initial ? 1 : 0));
}

function nothing(): void {}
let listener: () => void = nothing;

/** Calls after a desired value was applied. */
export function onShadow(callback: () => void): void {
  listener = callback;
}
export function callShadow(): void {
  listener();
}
