/**
 * Who may publish where: for the embedded broker as a function, for mosquitto as the file that says the same. A device writes
 * to its own `up` and `availability` only; the client id is its name. What the gateway itself states (state, telemetry, down,
 * bridge/state and so on) nobody else may publish, or a device could speak for another.
 */
import type { ErrorCode } from "../../protocols/table.ts";
import { BRIDGE, isDeviceId, TOPIC_ROOT } from "../../protocols/topic.ts";

/** take: for the gateway alone, not routed to other clients. route: as MQTT has it. Else refused with the code. */
export type PublishDecision = "take" | "route" | ErrorCode;
export type PublishPolicy = (clientId: string, topic: string) => PublishDecision;

export function publishPolicy(site: string): PublishPolicy {
  const root = `${TOPIC_ROOT}/`;
  const prefix = `${root}${site}/`;
  const request = `${prefix}${BRIDGE}/request/`;
  return (clientId, topic) => {
    // A broker believes its own topics: what is published there can end other clients' connections (MQTT 3.1.1, 4.7.2).
    if (topic.startsWith("$")) return "TOPIC_INVALID";
    if (!topic.startsWith(prefix)) return topic.startsWith(root) ? "TOPIC_INVALID" : "route";
    const slash = topic.indexOf("/", prefix.length);
    const device = topic.slice(prefix.length, slash < 0 ? undefined : slash);
    if (device === BRIDGE) return topic.startsWith(request) ? "route" : "TOPIC_FOREIGN";
    if (slash < 0) return isDeviceId(device) ? "TOPIC_FOREIGN" : "TOPIC_INVALID";
    switch (topic.slice(slash + 1)) {
      case "up":
        return clientId === device ? "take" : "TOPIC_FOREIGN";
      case "availability":
        return clientId === device ? "route" : "TOPIC_FOREIGN";
      case "set":
      case "get":
        return isDeviceId(device) ? "route" : "DEVICE_ID_INVALID";
      case "down":
      case "telemetry":
        return "TOPIC_FOREIGN";
      default:
        return "TOPIC_INVALID";
    }
  };
}

/**
 * An `acl_file` for mosquitto. `%c` is the client id. Users are named explicitly: the gateway, and those who may watch and
 * ask; clients without a user name are devices.
 */
export function aclFile(
  site: string,
  users: { readonly gateway: string; readonly operators?: readonly string[] },
): string {
  const at = `${TOPIC_ROOT}/${site}`;
  const lines = [
    `# Topic rules of tardigrade site "${site}". Made by the gateway; changes here are lost when it is made again.`,
    "# A device (any client): its own topics, its client id being its name.",
    `pattern write ${at}/%c/up`,
    `pattern write ${at}/%c/availability`,
    `pattern read ${at}/%c/down`,
    `pattern read ${at}/%c/availability`,
    "",
    `user ${users.gateway}`,
    `topic readwrite ${at}/#`,
    "topic readwrite homeassistant/#",
  ];
  for (const operator of users.operators ?? []) {
    lines.push(
      "",
      `user ${operator}`,
      `topic read ${at}/#`,
      `topic write ${at}/+/set`,
      `topic write ${at}/+/get`,
      `topic write ${at}/${BRIDGE}/request/#`,
    );
  }
  return `${lines.join("\n")}\n`;
}
