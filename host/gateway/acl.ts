/**
 * Who may publish and subscribe where: for the embedded broker as functions, for mosquitto as the file that says the same. A device
 * writes to its own `up` and `availability` only and hears its own `down`. What the gateway itself states (state, telemetry, down,
 * bridge/state and so on) nobody else may publish, or a device could speak for another. A user's role decides what it may ask.
 *
 *   | topic below tardi/<site>/        | device (own)   | viewer | operator, admin |
 *   | <device>/up, /availability       | write          | read   | read            |
 *   | <device>/down                    | read           |        |                 |
 *   | <device>, /telemetry             |                | read   | read            |
 *   | <device>/set                     |                |        | write           |
 *   | <device>/get                     |                | write  | write           |
 *   | bridge/request/<verb that reads> |                | write  | write           |
 *   | bridge/request/<other verbs>     |                |        | write           |
 */
import type { ErrorCode } from "../../protocols/table.ts";
import { BRIDGE, isDeviceId, TOPIC_ROOT } from "../../protocols/topic.ts";
import { topicMatcher } from "../io/mqtt-match.ts";
import type { BrokerRules } from "../io/seams.ts";
import type { AccessFile } from "./access/access-file.ts";
import { mayAs, nameOf, type Principal } from "./access/principal.ts";
import { READING_VERBS } from "./bridge.ts";

type PublishDecision = "take" | "route" | ErrorCode;

interface BrokerClient {
  readonly id: string;
  readonly principal: Principal;
}

/** Nobody but the device itself reads what it is told: commands may carry what other people have no business with. */
const DOWN = "/down";

export function topicRules(site: string): BrokerRules<Principal> {
  const root = `${TOPIC_ROOT}/`;
  const prefix = `${root}${site}/`;
  const request = `${prefix}${BRIDGE}/request/`;
  /** Which device this client speaks for. Where nobody has to say who they are, the client id is the name. */
  const ownDevice = ({ id, principal }: BrokerClient): string | undefined => {
    if (principal.kind === "device") return principal.device;
    return principal.kind === "anonymous" ? id : undefined;
  };
  const asks = (client: BrokerClient, verb: string): PublishDecision => {
    if (client.principal.kind === "device") return "TOPIC_FOREIGN";
    const reads = (READING_VERBS as readonly string[]).includes(verb);
    return mayAs(client.principal, reads ? "viewer" : "operator") ? "route" : "FORBIDDEN";
  };
  const onDevice = (client: BrokerClient, device: string, channel: string): PublishDecision => {
    switch (channel) {
      case "up":
        return ownDevice(client) === device ? "take" : "TOPIC_FOREIGN";
      case "availability":
        return ownDevice(client) === device ? "route" : "TOPIC_FOREIGN";
      case "set":
      case "get":
        if (!isDeviceId(device)) return "DEVICE_ID_INVALID";
        if (client.principal.kind === "device") return "TOPIC_FOREIGN";
        return mayAs(client.principal, channel === "get" ? "viewer" : "operator") ? "route" : "FORBIDDEN";
      case "down":
      case "telemetry":
        return "TOPIC_FOREIGN";
      default:
        return "TOPIC_INVALID";
    }
  };
  return {
    publish: (client, topic) => {
      // A broker believes its own topics: what is published there can end other clients' connections (MQTT 3.1.1, 4.7.2).
      if (topic.startsWith("$")) return "TOPIC_INVALID";
      if (!topic.startsWith(prefix))
        return topic.startsWith(root) ? "TOPIC_INVALID" : elsewhere(client, topic);
      const slash = topic.indexOf("/", prefix.length);
      const device = topic.slice(prefix.length, slash < 0 ? undefined : slash);
      if (device === BRIDGE) {
        return topic.startsWith(request) ? asks(client, topic.slice(request.length)) : "TOPIC_FOREIGN";
      }
      if (slash < 0) return isDeviceId(device) ? "TOPIC_FOREIGN" : "TOPIC_INVALID";
      return onDevice(client, device, topic.slice(slash + 1));
    },
    subscribe: ({ principal }, filter) => {
      if (principal.kind === "anonymous") return undefined;
      if (principal.kind === "device") {
        const own = ["down", "availability"].some(
          (channel) => filter === `${prefix}${principal.device}/${channel}`,
        );
        return own || principal.topics.includes(filter) || matchesOne(principal.topics, filter)
          ? undefined
          : "TOPIC_FOREIGN";
      }
      return filter.startsWith(root) && filter.endsWith(DOWN) ? "FORBIDDEN" : undefined;
    },
    receive: ({ principal }, topic) =>
      principal.kind !== "user" || !topic.endsWith(DOWN) || !topic.startsWith(root),
    name: nameOf,
  };
}

function elsewhere({ principal }: BrokerClient, topic: string): PublishDecision {
  if (principal.kind === "device") return matchesOne(principal.topics, topic) ? "route" : "TOPIC_FOREIGN";
  // An operator may speak to plain devices by their own topics; a viewer changes nothing.
  return mayAs(principal, "operator") ? "route" : "FORBIDDEN";
}

/** A filter asked for with wildcards is allowed only as it stands in the list. */
function matchesOne(filters: readonly string[], topic: string): boolean {
  if (/[#+]/.test(topic)) return false;
  return filters.some((filter) => topicMatcher(filter)(topic));
}

/**
 * An `acl_file` for mosquitto. Users are named one by one. A device is whoever logs in with its name (`%u`); where devices have no
 * credentials (`access` absent) the client id (`%c`) is taken for it, which is a matter of trust.
 */
export function aclFile(
  site: string,
  users: { readonly gateway: string; readonly operators?: readonly string[] },
  access?: AccessFile,
): string {
  const at = `${TOPIC_ROOT}/${site}`;
  const name = access === undefined ? "%c" : "%u";
  const lines = [
    `# Topic rules of tardigrade site "${site}". Made by the gateway; changes here are lost when it is made again.`,
    access === undefined
      ? "# A device (any client): its own topics, its client id being its name."
      : "# A device: its own topics, its user name being its id. Set allow_anonymous false.",
    `pattern write ${at}/${name}/up`,
    `pattern write ${at}/${name}/availability`,
    `pattern read ${at}/${name}/down`,
    `pattern read ${at}/${name}/availability`,
    "",
    `user ${users.gateway}`,
    "topic readwrite #",
  ];
  const people = [
    ...(users.operators ?? []).map((operator) => ({ name: operator, role: "operator" as const })),
    ...(access?.users ?? []),
  ];
  for (const person of people)
    lines.push("", `user ${person.name}`, ...rulesOf(at, person.role !== "viewer"));
  for (const { id, topics } of access?.devices ?? []) {
    if (topics.length > 0)
      lines.push("", `user ${id}`, ...topics.map((filter) => `topic readwrite ${filter}`));
  }
  return `${lines.join("\n")}\n`;
}

function rulesOf(at: string, operates: boolean): string[] {
  // One level each: `#` would let a person hear what devices are told.
  const reads = ["+", "+/availability", "+/telemetry", "+/set", "+/get", `${BRIDGE}/#`].map(
    (path) => `topic read ${at}/${path}`,
  );
  const verbs = operates ? ["#"] : READING_VERBS;
  return [
    ...reads,
    "topic read homeassistant/#",
    `topic write ${at}/+/get`,
    ...verbs.map((verb) => `topic write ${at}/${BRIDGE}/request/${verb}`),
    ...(operates ? [`topic write ${at}/+/set`] : []),
  ];
}

/** A password file for mosquitto: devices, and users with a generated password. */
export function passwordFile(access: AccessFile): string {
  const line = (name: string, hash: string | undefined): string =>
    hash === undefined ? "" : `${name}:${hash}\n`;
  return [
    ...access.users.map(({ name, mosquitto }) => line(name, mosquitto)),
    ...access.devices.map(({ id, mosquitto }) => line(id, mosquitto)),
  ].join("");
}
