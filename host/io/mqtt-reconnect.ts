/** mqtt.js tries again after a fixed time; here the time grows with the failures, as the core's backoff says. */
import type { MqttClient } from "mqtt";
import type { Backoff } from "../core/policy/backoff.ts";

/** mqtt.js reads the period when a connection closes, before it tells: what is set then counts for the next failure. */
export function growReconnect(client: MqttClient, backoff: Backoff): void {
  let failures = 1;
  const set = (): void => {
    client.options.reconnectPeriod = Math.max(1, Math.round(backoff(failures)));
  };
  set();
  client.on("close", () => {
    failures += 1;
    set();
  });
  client.on("connect", () => {
    failures = 1;
    set();
  });
}
