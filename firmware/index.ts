/** `tardigrade/firmware`: what an app imports. docs/firmware.md teaches it. */
export { ARGUMENT, COMMAND_FAILED, SENSOR_RANGE } from "../assembly/errors/codes.generated";
export { AnomalyMonitor, FALLEN, RISEN, Seasonal, SPIKE } from "./sdk/anomaly";
export {
  AFTER,
  BEFORE,
  CONCURRENT,
  EQUAL,
  HybridClock,
  LamportClock,
  VectorClock,
  Versions,
} from "./sdk/clocks";
export { Args, onCommand } from "./sdk/command";
export { Histogram, Quantile, Summary } from "./sdk/figures";
export { FixedWindow, Gcra, SlidingCounter, SlidingLog, TokenBucket } from "./sdk/limiters";
export { Analog, Input, Output, Pwm } from "./sdk/pins";
export { HashRing, hashOf, jumpBucket, Maglev, Nodes, Rendezvous } from "./sdk/placement";
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
export { AdaptiveSampler, RateSampler, RatioSampler } from "./sdk/sampler";
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
