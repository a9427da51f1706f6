/** The links of the serial ports that the configuration names, tied to the gateway's parts. */
import type { SerialBinding } from "./device-links.ts";
import { DeviceLinks } from "./device-links.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { Ingest } from "./ingest.ts";
import type { GatewayOptions } from "./options.ts";
import type { PresenceBoard } from "./presence.ts";
import { SerialLink, SILENCE_MS } from "./serial-link.ts";

export function serialLinks(
  { serial, clock, meter }: GatewayOptions,
  parts: {
    readonly monitor: ErrorMonitor;
    readonly accepts: () => boolean;
    readonly ingest: Ingest;
    readonly presence: PresenceBoard;
    readonly onError: (error: unknown) => void;
  },
): DeviceLinks {
  if (serial === undefined) return new DeviceLinks([]);
  const { ports, links, silenceMs = SILENCE_MS, backoff } = serial;
  const { monitor, accepts, ingest, presence, onError } = parts;
  const linkOf = (device: string, binding: SerialBinding): SerialLink =>
    new SerialLink({
      ...{ binding, ports, clock, backoff, meter, silenceMs, monitor, accepts },
      receive: (payload) => {
        try {
          ingest.receive(device, payload);
        } catch (error) {
          onError(error);
        }
      },
      heard: () => {
        if (ingest.sessions.get(device)?.open) presence.heard(device);
      },
      onDown: () => presence.hint(device, "offline"),
    });
  return new DeviceLinks(links.map((binding) => linkOf(binding.device, binding)));
}
