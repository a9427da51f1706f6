// A LoRaWAN valve controller behind a gateway that publishes raw payloads: uplinks as Cayenne LPP on lora/NAME/up, downlinks on
// lora/NAME/down. Cayenne LPP is a row of items: channel, type, value (big-endian).
//
//   temperature 0x67, 0.1 Cel     humidity 0x68, 0.5 %     barometer 0x73, 0.1 hPa
//   analog input 0x02, 0.01       digital input 0x00       digital output 0x01, here the valve
import { BOOLEAN, Decoded, level, Publish, Reader, Value } from "tardigrade/plugin";

export function decode(topic: string, payload: Uint8Array): Decoded | null {
  if (level(topic, 2) != "up") return null;
  const decoded = new Decoded(level(topic, 1));
  const reader = new Reader(payload);
  while (reader.left > 0) {
    const channel = reader.u8().toString();
    const type = reader.u8();
    if (type == 0x67) decoded.reading("temperature-" + channel, "Cel", <f64>reader.i16() / 10);
    else if (type == 0x68) decoded.reading("humidity-" + channel, "%", <f64>reader.u8() / 2);
    else if (type == 0x73) decoded.reading("pressure-" + channel, "hPa", <f64>reader.u16() / 10);
    else if (type == 0x02) decoded.reading("analog-" + channel, "", <f64>reader.i16() / 100);
    else if (type == 0x00) decoded.stateBoolean("input-" + channel, reader.u8() != 0);
    else if (type == 0x01) decoded.stateBoolean("valve-" + channel, reader.u8() != 0);
    else return Decoded.refused("unknown type " + type.toString() + " on channel " + channel);
  }
  return reader.isShort ? Decoded.refused("the last item is cut short") : decoded;
}

export function encode(device: string, state: string, value: Value): Publish | null {
  if (!state.startsWith("valve-")) return null;
  if (value.kind != BOOLEAN) return Publish.refused("a valve is true or false");
  const payload = new Uint8Array(3);
  payload[0] = <u8>U32.parseInt(state.substring(6));
  payload[1] = 0x01;
  payload[2] = value.boolean ? 100 : 0;
  return new Publish("lora/" + device + "/down", payload);
}
