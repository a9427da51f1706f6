/**
 * Text without allocation: string literals are static UTF-16 and are encoded into one fixed UTF-8 buffer; numbers are
 * formatted into it. What does not fit is cut, at a character's boundary.
 */
const TEXT_BYTES: i32 = 160;
const buffer: usize = memory.data(160);
const digits: usize = memory.data(24);
let length: i32 = 0;

export function textStart(): void {
  length = 0;
}
export function textPtr(): usize {
  return buffer;
}
export function textLength(): i32 {
  return length;
}

function put(byte: u32): void {
  store<u8>(buffer + <usize>length, <u8>byte);
  length += 1;
}

export function textAppend(text: string): void {
  const from = changetype<usize>(text);
  const units = text.length;
  for (let unit = 0; unit < units; unit += 1) {
    const point = <u32>load<u16>(from + ((<usize>unit) << 1));
    if (point < 0x80) {
      if (length + 1 > TEXT_BYTES) return;
      put(point);
    } else if (point < 0x800) {
      if (length + 2 > TEXT_BYTES) return;
      put(0xc0 | (point >> 6));
      put(0x80 | (point & 63));
    } else if ((point & 0xf800) == 0xd800) {
      if (length + 4 > TEXT_BYTES || unit + 1 >= units) return;
      unit += 1;
      const low = <u32>load<u16>(from + ((<usize>unit) << 1));
      const whole = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
      put(0xf0 | (whole >> 18));
      put(0x80 | ((whole >> 12) & 63));
      put(0x80 | ((whole >> 6) & 63));
      put(0x80 | (whole & 63));
    } else {
      if (length + 3 > TEXT_BYTES) return;
      put(0xe0 | (point >> 12));
      put(0x80 | ((point >> 6) & 63));
      put(0x80 | (point & 63));
    }
  }
}

export function textAppendInt(value: i64): void {
  let rest = value < 0 ? <u64>-value : <u64>value;
  let count = 0;
  do {
    store<u8>(digits + <usize>count, <u8>(0x30 + (rest % 10)));
    rest /= 10;
    count += 1;
  } while (rest != 0);
  if (length + count + 1 > TEXT_BYTES) return;
  if (value < 0) put(0x2d);
  while (count > 0) {
    count -= 1;
    put(load<u8>(digits + <usize>count));
  }
}

/** With `decimals` (0 to 6) digits after the point, rounded half away from zero. */
export function textAppendNumber(value: f64, decimals: i32): void {
  if (isNaN(value)) return textAppend("NaN");
  let scale: i64 = 1;
  const places = decimals < 0 ? 0 : decimals > 6 ? 6 : decimals;
  for (let place = 0; place < places; place += 1) scale *= 10;
  if (Math.abs(value) > 9_000_000_000_000) return textAppend(value < 0 ? "-large" : "large");
  const scaled = <i64>(value * <f64>scale + (value < 0 ? -0.5 : 0.5));
  const positive = scaled < 0 ? -scaled : scaled;
  if (scaled < 0 && length < TEXT_BYTES) put(0x2d);
  textAppendInt(positive / scale);
  if (places == 0 || length + 1 + places > TEXT_BYTES) return;
  put(0x2e);
  let rest = positive % scale;
  for (let place = 0; place < places; place += 1) {
    scale /= 10;
    put(0x30 + <u32>(rest / scale));
    rest %= scale;
  }
}
