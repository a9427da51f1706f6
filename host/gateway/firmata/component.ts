/**
 * What hangs at the pins of a Firmata board, as tardigrade.yaml tells it: each component is a metric or a state of the device.
 *
 *   sensor       analog  reading   low to high over the whole scale
 *   thermometer  analog  reading   degrees Celsius, by the controller's curve
 *   button       pin     state     true while pressed
 *   led          pin     control   true, false, or 0 to 100 % on a pin that has PWM
 *   relay        pin     control   true: closed
 *   servo        pin     control   0 to 180 degrees
 */
import type { Value } from "../../../protocols/messages.generated.ts";

export const COMPONENT_KINDS = ["sensor", "thermometer", "button", "led", "relay", "servo"] as const;
export type ComponentKind = (typeof COMPONENT_KINDS)[number];

/** Analog thermometers whose curve johnny-five knows. */
export const THERMOMETERS = ["TMP36", "LM35", "LM335", "GROVE", "TINKERKIT"] as const;
export type Thermometer = (typeof THERMOMETERS)[number];

export const SAMPLE_MS = 1000;

export interface Component {
  /** Of the metric or state. */
  readonly name: string;
  readonly kind: ComponentKind;
  /** Digital pin: button, led, relay, servo. */
  readonly pin?: number;
  /** Analog channel, 0 for A0: sensor, thermometer. */
  readonly analog?: number;
  /** UCUM, of a sensor; % by default. */
  readonly unit?: string;
  /** What zero and full scale of a sensor mean; 0 and 100 by default. */
  readonly low?: number;
  readonly high?: number;
  /** Between two readings; SAMPLE_MS by default. */
  readonly everyMs?: number;
  /** Of a thermometer. */
  readonly controller?: Thermometer;
  /** A button to ground, by the pin's own pull-up. */
  readonly pullup?: boolean;
}

export interface FirmataBinding {
  readonly port: string;
  readonly baudRate: number;
  readonly device: string;
  readonly components: readonly Component[];
}

export const isReading = ({ kind }: Component): boolean => kind === "sensor" || kind === "thermometer";
export const isControl = ({ kind }: Component): boolean =>
  kind === "led" || kind === "relay" || kind === "servo";

export function unitOf({ kind, unit }: Component): string {
  return kind === "thermometer" ? "Cel" : (unit ?? "%");
}

/** Why the component cannot be set so; undefined when it can. */
export function problemWith({ name, kind }: Component, value: Value): string | undefined {
  const within = (max: number): boolean => typeof value === "number" && value >= 0 && value <= max;
  if (kind === "relay" && typeof value !== "boolean") return `${name} is a relay: say true or false`;
  if (kind === "led" && typeof value !== "boolean" && !within(100)) {
    return `${name} is an LED: say true, false, or 0 to 100 percent`;
  }
  if (kind === "servo" && !within(180)) return `${name} is a servo: say 0 to 180 degrees`;
  return isControl({ name, kind }) ? undefined : `${name} is a ${kind}, which cannot be set`;
}

/** What is wrong with a list of components, by place: two of one name or pin, or a place that the kind has not. */
export function componentProblems(
  components: readonly Component[],
): readonly { readonly at: number; readonly message: string }[] {
  const problems: { readonly at: number; readonly message: string }[] = [];
  for (const [at, component] of components.entries()) {
    const { name, kind, pin, analog, low = 0, high = 100 } = component;
    const add = (message: string): void => void problems.push({ at, message });
    const before = components.slice(0, at);
    if (before.some((it) => it.name === name)) add(`there is another component "${name}"`);
    if (isReading(component)) {
      if (analog === undefined || pin !== undefined)
        add(`a ${kind} is at an analog channel; say analog: 0 for A0`);
      else if (before.some((it) => it.analog === analog)) add(`A${analog} is another component's`);
    } else if (pin === undefined || analog !== undefined) add(`a ${kind} is at a digital pin; say pin: 13`);
    else if (before.some((it) => it.pin === pin)) add(`pin ${pin} is another component's`);
    if (kind === "thermometer" && component.controller === undefined) {
      add(`a thermometer needs its controller, one of ${THERMOMETERS.join(", ")}`);
    }
    if (low === high) add("low and high must differ");
  }
  return problems;
}
