// A weather station that publishes a line of values separated by commas on station/NAME/csv:
//
//   2026-05-04T10:00:00Z,21.5,48,1013.2,3.4,fair        time, Cel, %, hPa, m/s, what the sky looks like
//
// and listens on station/NAME/set for `interval=SECONDS`.
const COLUMNS = [
  ["temperature", "Cel"],
  ["humidity", "%"],
  ["pressure", "hPa"],
  ["wind", "m/s"],
];

export function decode(topic, payload) {
  const [, device, channel] = topic.split("/");
  if (channel !== "csv") return undefined;
  const cells = new TextDecoder().decode(payload).trim().split(",");
  if (cells.length !== COLUMNS.length + 2)
    throw `a line has ${COLUMNS.length + 2} values, not ${cells.length}`;
  const readings = COLUMNS.map(([metric, unit], at) => ({
    metric,
    unit,
    value: Number.parseFloat(cells[at + 1]),
  }));
  return {
    device,
    readings: readings.filter(({ value }) => Number.isFinite(value)),
    states: [{ key: "sky", value: { tag: "text", val: cells.at(-1) } }],
  };
}

export function encode(device, state, value) {
  if (state !== "interval") return undefined;
  if (value.tag !== "number") throw "interval is a number of seconds";
  return { topic: `station/${device}/set`, payload: new TextEncoder().encode(`interval=${value.val}`) };
}
