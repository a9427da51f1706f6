/**
 * A greenhouse: temperature and soil moisture each second, smoothed, with anomalies flagged; a fan and a pump on thresholds
 * from the shadow; readings in batches, so that a poor link carries few messages; outages survived by the outbox.
 */
import {
  Analog,
  ARGUMENT,
  Args,
  Detector,
  eventWith,
  every,
  line,
  metric,
  now,
  Output,
  onCommand,
  onShadow,
  sendBatch,
  shadowBool,
  shadowNumber,
  TokenBucket,
  WARNING,
} from "tardigrade/firmware";

const SAMPLE_MS: u32 = 1000;
/** Sensors on the ADC: a linear temperature sensor from -40 to 85 Cel, a moisture probe from 0 to 100 %. */
const thermometer = new Analog(0);
const probe = new Analog(1);
const fan = new Output(2);
const pump = new Output(3);

const temperature = metric("temperature", "Cel");
const temperatureMean = metric("temperatureMean", "Cel");
const soilMoisture = metric("soilMoisture", "%");

const fanOnC = shadowNumber("fanOnC", 28);
const fanOffC = shadowNumber("fanOffC", 26);
const pumpOnPercent = shadowNumber("pumpOnPercent", 30);
const pumpOffPercent = shadowNumber("pumpOffPercent", 45);
const fanReported = shadowBool("fan", false);
const pumpReported = shadowBool("pump", false);

const heat = new Detector(0.1, 4, 0.5, 20);
/** A batch every two seconds, five at once after a quiet time. */
const batches = new TokenBucket(1, 2000, 5);

/** Pump held on by command until then, in microseconds since boot. */
let pumpUntil: u64 = 0;

function sample(): void {
  const celsius = thermometer.scaled(-40, 85);
  const percent = probe.scaled(0, 100);
  if (!isNaN(celsius)) {
    if (heat.update(f32(celsius))) eventWith("temperature-anomaly", celsius, WARNING);
    temperature.record(celsius);
    temperatureMean.record(f64(heat.mean));
  }
  if (!isNaN(percent)) soilMoisture.record(percent);
  regulate(f64(heat.mean), percent);
  if (batches.take()) sendBatch();
}

/** Two thresholds each, so that neither motor chatters around one. */
function regulate(celsius: f64, percent: f64): void {
  if (celsius >= fanOnC.value) fan.write(true);
  else if (celsius <= fanOffC.value) fan.write(false);
  if (now() < pumpUntil || percent <= pumpOnPercent.value) pump.write(true);
  else if (percent >= pumpOffPercent.value) pump.write(false);
  fanReported.report(fan.value);
  pumpReported.report(pump.value);
}

/** `water {seconds}`: runs the pump for up to ten minutes. */
function water(args: Args): i32 {
  const seconds = args.number("seconds", 10);
  if (!(seconds > 0 && seconds <= 600)) return -ARGUMENT;
  pumpUntil = now() + u64(seconds * 1_000_000);
  pump.write(true);
  pumpReported.report(true);
  args.answer(seconds);
  return 0;
}

function thresholdsChanged(): void {
  line("fan on at ")
    .number(fanOnC.value, 1)
    .text(" Cel, pump on at ")
    .number(pumpOnPercent.value, 0)
    .text(" %")
    .info();
}

export function setup(): void {
  onCommand("water", water);
  onShadow(thresholdsChanged);
  every(SAMPLE_MS, sample);
  line("greenhouse ready").info();
}
