// Generated from protocols/table.ts by `npm run generate`. Do not edit.

/** A shadow's, event's or command's value. */
export type Value = boolean | number | string;

export const KINDS = {
  hello: 1,
  welcome: 2,
  helloRequest: 3,
  telemetry: 4,
  event: 5,
  log: 6,
  error: 7,
  drop: 8,
  pinStatus: 9,
  shadow: 10,
  command: 11,
  commandResult: 12,
  durableAck: 13,
  linkReceipt: 14,
} as const;

export type Kind = keyof typeof KINDS;

/** Opens a session: who the device is, which boot this is and where its ring begins. (up) */
export interface Hello {
  readonly kind: "hello";
  /** Protocol major version; another one is refused. */
  readonly major: number;
  /** Protocol minor version. */
  readonly minor: number;
  /** Boot counter, one higher at each boot. */
  readonly boot: number;
  /** Chosen anew for each hello; welcome repeats it. */
  readonly session: number;
  /** Microseconds since boot at the moment of this hello. */
  readonly uptimeUs: number;
  /** Boot of the oldest message still held; this boot when none is held. */
  readonly oldestBoot: number;
  /** Sequence number of the oldest message held, or the next to be used when none is held. */
  readonly oldestSeq: number;
  /** Board definition's name. */
  readonly board: string;
  /** App's name. */
  readonly app: string;
  /** App's version. */
  readonly version: string;
  /** Why the device booted; index into RESET_REASONS. */
  readonly reason: number;
  /** Bit set of CAPABILITIES that the app declares. */
  readonly capabilities: number;
  /** Metrics; a reading names one by its index here. */
  readonly metrics: readonly {
    /** Metric name. */
    readonly name: string;
    /** Unit, UCUM style. */
    readonly unit: string;
  }[];
  /** Commands the app answers. */
  readonly commands: readonly {
    /** Command name. */
    readonly name: string;
  }[];
  /** A boot whose unacknowledged messages a power cut took. */
  readonly lostBoot?: number;
  /** Highest sequence number that boot may have used. */
  readonly lostTo?: number;
  /** Why the base leaves the app stopped, a number from ERRORS; absent while it runs. */
  readonly stopped?: number;
}

/** Answers hello: what is durable already, and how many messages may be in flight. (down) */
export interface Welcome {
  readonly kind: "welcome";
  /** The hello's session. */
  readonly session: number;
  /** 0, or the error code that refuses the device. */
  readonly code: number;
  /** Boot of the last durable message, 0 when there is none. */
  readonly boot: number;
  /** Its sequence number. */
  readonly seq: number;
  /** Messages in flight before a durable acknowledgement. */
  readonly window: number;
  /** Gateway's wall clock, milliseconds since 1970; 0: it has none to tell. */
  readonly wallMs: number;
  /** The gateway's hybrid logical clock: what a device does from now on is above it. */
  readonly hlc?: bigint;
}

/** Asks the device to say hello: the gateway started, or knows no session for what it received. (down) */
export interface HelloRequest {
  readonly kind: "helloRequest";
  /** Why, an error code or 0. */
  readonly code: number;
}

/** A batch of readings, or what a histogram gathered; then without readings. (up) */
export interface Telemetry {
  readonly kind: "telemetry";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Number of this message in that boot, from 1. */
  readonly seq: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** Readings, oldest first. */
  readonly readings: readonly {
    /** Index into hello's metrics. */
    readonly metric: number;
    /** Microseconds after the message's uptimeUs. */
    readonly offsetUs: number;
    /** The reading. */
    readonly value: number;
  }[];
  /** What the histogram is of: index into hello's metrics. */
  readonly histogramMetric?: number;
  /** Values recorded since the metric's last histogram; host/core/histogram-bytes.ts draws it. */
  readonly histogram?: Uint8Array;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
}

/** Something that happened, in the app's words. (up) */
export interface Event {
  readonly kind: "event";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Number of this message in that boot, from 1. */
  readonly seq: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** Event name. */
  readonly name: string;
  /** Index into SEVERITIES. */
  readonly severity: number;
  /** What goes with it. */
  readonly value?: Value;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
}

/** A line of the device's log. (up) */
export interface Log {
  readonly kind: "log";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Number of this message in that boot, from 1. */
  readonly seq: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** Index into LOG_LEVELS. */
  readonly level: number;
  /** The line. */
  readonly text: string;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
}

/** An error record of the device. (up) */
export interface Error {
  readonly kind: "error";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Number of this message in that boot, from 1. */
  readonly seq: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** Number from ERRORS. */
  readonly code: number;
  /** Index into SEVERITIES. */
  readonly severity: number;
  /** Part of the firmware. */
  readonly component: string;
  /** What it was doing. */
  readonly operation?: string;
  /** A number that helps, such as an address. */
  readonly detail?: number;
  /** How often since boot. */
  readonly count: number;
  /** W3C trace id. */
  readonly trace?: Uint8Array;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
  /** The crash log: errors of the boot before this one, newest first. */
  readonly before?: readonly {
    /** Number from ERRORS. */
    readonly code: number;
    /** Part of the firmware; empty when it is not known any more. */
    readonly component: string;
    /** How often in that boot. */
    readonly count: number;
    /** Microseconds since that boot; 0 when the time is not known any more. */
    readonly uptimeUs: number;
    /** A number that helps, 0 for none. */
    readonly detail: number;
  }[];
}

/** States a range of messages that the full ring dropped. It takes the number of the last of them, so the order has no hole. (up) */
export interface Drop {
  readonly kind: "drop";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Number of this message in that boot, from 1. */
  readonly seq: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** First dropped sequence number; `seq` is the last. */
  readonly from: number;
  /** Readings that were in them. */
  readonly readings: number;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
}

/** State of the pins that the app uses. Not sequenced: the newest counts. (up) */
export interface PinStatus {
  readonly kind: "pinStatus";
  /** Boot counter of the device. */
  readonly boot: number;
  /** Microseconds since that boot. */
  readonly uptimeUs: number;
  /** Pins in use. */
  readonly pins: readonly {
    /** Pin number of the board. */
    readonly pin: number;
    /** 0 off, 1 input, 2 output, 3 PWM, 4 analog. */
    readonly mode: number;
    /** Level 0 or 1, or a share of full scale. */
    readonly value: number;
  }[];
}

/** Down: the whole desired state. Up: the whole reported state. Not sequenced: the newest version counts. (both) */
export interface Shadow {
  readonly kind: "shadow";
  /** 0 desired, 1 reported. */
  readonly role: number;
  /** Desired: its version. Reported: the desired version that was applied. */
  readonly version: number;
  /** Names and values. */
  readonly entries: readonly {
    /** Name. */
    readonly key: string;
    /** Boolean, number or text. */
    readonly value: Value;
  }[];
  /** Of who sends it, as in command and commandResult; a shadow that fills a message has none. */
  readonly hlc?: bigint;
}

/** Asks the app to do something once; repeated with the same id until answered or timed out. (down) */
export interface Command {
  readonly kind: "command";
  /** The gateway's number for it; a device answers a repeated id from memory. */
  readonly id: number;
  /** Command name. */
  readonly name: string;
  /** Arguments. */
  readonly args: readonly {
    /** Name. */
    readonly key: string;
    /** Boolean, number or text. */
    readonly value: Value;
  }[];
  /** The gateway's hybrid logical clock: what a device does from now on is above it. */
  readonly hlc?: bigint;
}

/** Answers a command. (up) */
export interface CommandResult {
  readonly kind: "commandResult";
  /** The command's id. */
  readonly id: number;
  /** 0, or a number from ERRORS. */
  readonly code: number;
  /** What the handler returned. */
  readonly result?: Value;
  /** The device's hybrid logical clock when it made this; absent until it was told the time. */
  readonly hlc?: bigint;
}

/** Everything of this boot up to seq is on disk; the device may forget it. (down) */
export interface DurableAck {
  readonly kind: "durableAck";
  /** Boot counter. */
  readonly boot: number;
  /** Cumulative sequence number. */
  readonly seq: number;
  /** True: a message is missing, send again from seq + 1. */
  readonly resend?: boolean;
  /** As welcome's, now and then: a device's crystal strays. */
  readonly wallMs?: number;
}

/** Serial links only: frames received in order, and how many more may come. Travels in a control frame, outside the window. (both) */
export interface LinkReceipt {
  readonly kind: "linkReceipt";
  /** Link session that the frame numbers belong to. */
  readonly session: number;
  /** Cumulative frame number. */
  readonly received: number;
  /** Frames the receiver has room for; 0 while its flash is busy. */
  readonly credits: number;
}

export type Message =
  | Hello
  | Welcome
  | HelloRequest
  | Telemetry
  | Event
  | Log
  | Error
  | Drop
  | PinStatus
  | Shadow
  | Command
  | CommandResult
  | DurableAck
  | LinkReceipt;
