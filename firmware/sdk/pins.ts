/** Pins and ADC, by the board's numbers. */
import * as tardi from "./tardi";

const MODE_INPUT: u32 = 1;
const MODE_OUTPUT: u32 = 2;
const MODE_PWM: u32 = 3;

/** A digital output. `status` is 0 or the negative of an error code. */
export class Output {
  readonly status: i32;
  private on: bool = false;

  constructor(readonly pin: u32) {
    this.status = tardi.pin_mode(pin, MODE_OUTPUT);
  }
  get value(): bool {
    return this.on;
  }
  write(on: bool): i32 {
    this.on = on;
    return tardi.pin_write(this.pin, on ? 1 : 0);
  }
  toggle(): i32 {
    return this.write(!this.on);
  }
}

/** A digital input. */
export class Input {
  readonly status: i32;
  constructor(readonly pin: u32) {
    this.status = tardi.pin_mode(pin, MODE_INPUT);
  }
  read(): bool {
    return tardi.pin_read(this.pin) > 0;
  }
}

/** An output with a duty cycle. */
export class Pwm {
  readonly status: i32;
  constructor(readonly pin: u32) {
    this.status = tardi.pin_mode(pin, MODE_PWM);
  }
  /** Share of full scale, 0 to 65535. */
  write(duty: u32): i32 {
    return tardi.pin_write(this.pin, duty);
  }
}

/** An ADC channel. */
export class Analog {
  constructor(readonly channel: u32) {}
  /** Share of full scale, 0 to 65535, or the negative of an error code. */
  read(): i32 {
    return tardi.adc_read(this.channel);
  }
  /** The reading on a scale from `low` (0) to `high` (65535); NaN on error. */
  scaled(low: f64, high: f64): f64 {
    const raw = this.read();
    return raw < 0 ? NaN : low + ((high - low) * <f64>raw) / 65535;
  }
}
