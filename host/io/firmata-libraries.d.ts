// What is used of johnny-five and firmata-io, which bring no types.
declare module "firmata-io" {
  import type { EventEmitter } from "node:events";
  export class Firmata extends EventEmitter {
    constructor(
      transport: EventEmitter,
      options: { readonly reportVersionTimeout: number; readonly samplingInterval: number },
    );
    readonly isReady: boolean;
    readonly buffer: number[];
    readonly firmware: {
      readonly name?: string;
      readonly version?: { readonly major: number; readonly minor: number };
    };
    readonly pins: readonly { readonly supportedModes: readonly number[] }[];
    readonly analogPins: readonly number[];
    readonly MODES: Readonly<Record<string, number>>;
    readonly reportVersionTimeoutId: NodeJS.Timeout;
    reportVersion(callback: () => void): void;
  }
}

declare module "johnny-five" {
  import type { EventEmitter } from "node:events";
  import type { Firmata } from "firmata-io";
  export class Board extends EventEmitter {
    static readonly cache?: Board[];
    constructor(options: {
      readonly io: Firmata;
      readonly repl: boolean;
      readonly debug: boolean;
      readonly sigint: boolean;
      readonly timeout: number;
    });
    readonly timer?: NodeJS.Timeout;
  }
  interface Place {
    readonly board: Board;
    readonly pin: number | string;
  }
  export class Sensor extends EventEmitter {
    constructor(options: Place & { readonly freq: number });
    readonly raw: number | null;
    disable(): this;
  }
  export class Thermometer extends EventEmitter {
    constructor(options: Place & { readonly freq: number; readonly controller: string });
    disable(): this;
  }
  export class Button extends EventEmitter {
    constructor(options: Place & { readonly isPullup: boolean });
  }
  export class Led {
    constructor(options: Place);
    on(): this;
    off(): this;
    brightness(value: number): this;
  }
  export class Relay {
    constructor(options: Place);
    open(): this;
    close(): this;
  }
  export class Servo {
    constructor(options: Place);
    to(degrees: number): this;
  }
}
