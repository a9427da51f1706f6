/**
 * The imports of an app: functions of the system, module `tardi`. Texts are UTF-8 in the app's arena. Statuses are 0 or a
 * positive result, or the negative of an error code.
 */
export declare function every(periodUs: u64): i32;
export declare function now_us(): u64;
export declare function exact_us(): u64;
export declare function random(): u32;
export declare function metric(name: usize, nameLength: i32, unit: usize, unitLength: i32): i32;
export declare function reading(index: u32, value: f64): i32;
export declare function send_batch(): i32;
export declare function histogram(metric: u32, ptr: usize, length: i32): i32;
export declare function event(name: usize, length: i32, severity: u32, type: u32, value: f64): i32;
export declare function log(level: u32, ptr: usize, length: i32): i32;
export declare function error(code: u32, severity: u32, name: usize, length: i32, detail: i64): i32;
export declare function shadow_declare(name: usize, length: i32, type: u32, value: f64): i32;
export declare function shadow_value(slot: u32): f64;
export declare function shadow_report(slot: u32, value: f64): i32;
export declare function command(name: usize, length: i32, inbox: usize): i32;
export declare function command_result(type: u32, value: f64): void;
export declare function pin_mode(pin: u32, mode: u32): i32;
export declare function pin_write(pin: u32, value: u32): i32;
export declare function pin_read(pin: u32): i32;
export declare function adc_read(channel: u32): i32;
