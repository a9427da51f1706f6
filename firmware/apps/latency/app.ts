/**
 * How long a sensor takes to answer and how late timers run, measured on the device: a hundred values a second go into histograms, and once in ten
 * seconds a few dozen bytes go to the gateway, which adds them up over all devices of this firmware.
 */
import { Analog, every, exactNow, Histogram, metric, now } from "tardigrade/firmware";

const READ_MS: u32 = 10;
const REPORT_MS: u32 = 10_000;

const probe = new Analog(0);
const readUs = metric("sensorReadUs", "us");
const lateUs = metric("timerLateUs", "us");
/** 12.5 % each, in 992 bytes. */
const reads = new Histogram(3);
const delays = new Histogram(3);

function read(): void {
  const begun = exactNow();
  delays.record(u32(begun - now()));
  probe.read();
  reads.record(u32(exactNow() - begun));
}

function report(): void {
  readUs.report(reads);
  lateUs.report(delays);
}

export function setup(): void {
  every(READ_MS, read);
  every(REPORT_MS, report);
}
