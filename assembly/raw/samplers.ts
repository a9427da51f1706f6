/** Samplers on memory of the caller, with times in milliseconds. What is no time keeps nothing. */
import { ARGUMENT } from "../errors/codes.generated";
import {
  samplerAdaptiveInit as initAdaptive,
  samplerAdaptive as sampleAdaptive,
  samplerRate as sampleRate,
} from "../trace/sampler";
import { isTime, microseconds } from "./time";

export function samplerRate(at: usize, high: u32, low: u32, nowMs: f64): i32 {
  return isTime(nowMs) ? sampleRate(at, high, low, microseconds(nowMs)) : -ARGUMENT;
}

export function samplerAdaptiveInit(at: usize, target: u32, periodMs: f64, shareMin: u32): i32 {
  return isTime(periodMs) ? initAdaptive(at, target, microseconds(periodMs), shareMin) : -ARGUMENT;
}
export function samplerAdaptive(at: usize, high: u32, low: u32, nowMs: f64): i32 {
  return isTime(nowMs) ? sampleAdaptive(at, high, low, microseconds(nowMs)) : -ARGUMENT;
}
