/** `tardigrade/firmware`: what an app imports. docs/firmware.md teaches it. */
export { ARGUMENT, COMMAND_FAILED, SENSOR_RANGE } from "../assembly/errors/codes.generated";
export { Args, onCommand } from "./sdk/command";
export { Gcra, TokenBucket } from "./sdk/limiters";
export { Analog, Input, Output, Pwm } from "./sdk/pins";
export {
  AdaptiveLimit,
  Breaker,
  Bulkhead,
  CANCELLED,
  FAILURE,
  IGNORED,
  LastGood,
  Retry,
  RetryBudget,
  SUCCESS,
  Throttle,
  TIMEOUT,
  Timeout,
  TimerWheel,
} from "./sdk/policies";
export { onShadow, ShadowBool, ShadowNumber, shadowBool, shadowNumber } from "./sdk/shadow";
export { Cusum, Detector, Hampel } from "./sdk/statistics";
export {
  CRITICAL,
  ERROR,
  event,
  eventWith,
  FATAL,
  INFO,
  Line,
  line,
  Metric,
  metric,
  reportError,
  sendBatch,
  WARNING,
} from "./sdk/telemetry";
export { every, exactNow, now, random } from "./sdk/timer";
