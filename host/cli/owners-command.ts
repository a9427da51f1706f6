/** `tardi cluster owners [device...]`: the gateways that share devices, and whose each device is. */
import { TardigradeError } from "../../protocols/error.ts";
import { openClient } from "../cluster/client/open-client.ts";
import { isAdopted, type RosterView, readRoster, rosterRange } from "../cluster/ownership/roster.ts";
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { createPlacement } from "../core/placement.ts";
import type { ClusterOptions } from "./cluster-commands.ts";
import { dim, green, print, printJson, table, yellow } from "./output.ts";

export interface OwnersOptions extends ClusterOptions {
  readonly prefix: string;
}

/** Exit code 1 while no gateway shares devices there. */
export async function ownersCommand(devices: readonly string[], options: OwnersOptions): Promise<number> {
  const view = await readView(options);
  const { roster, live } = view;
  const isSettled = roster.members.length > 0 && isAdopted(view);
  const owners = ownersOf(view, devices);
  if (options.json) {
    printJson({
      isSettled,
      members: roster.members.map((member) => ({
        ...member,
        isLive: live.some(({ id }) => id === member.id),
      })),
      joining: live.filter(({ id }) => !isNamed(view, id)).map(({ id }) => id),
      devices: Object.fromEntries(owners),
    });
    return roster.members.length > 0 ? 0 : 1;
  }
  if (roster.members.length === 0 && live.length === 0) {
    print(`No gateway shares devices under "${options.prefix}/": name the site with --site.`);
    return 1;
  }
  const all = roster.members.reduce((sum, { weight }) => sum + weight, 0);
  const named = roster.members.map(({ id, weight }) => {
    const serving = live.find((member) => member.id === id)?.serving;
    const state =
      serving === undefined
        ? dim("gone")
        : serving === roster.revision
          ? green("serves")
          : yellow("hands over");
    return [id, weight, `${((100 * weight) / all).toFixed(0)} %`, state];
  });
  const joining = live
    .filter(({ id }) => !isNamed(view, id))
    .map(({ id, weight }) => [id, weight, "-", yellow("joins")]);
  print(table(["gateway", "weight", "share", "state"], [...named, ...joining]));
  if (owners.size > 0) {
    print("");
    print(
      table(
        ["device", "gateway"],
        [...owners].map(([device, owner]) => [device, owner ?? dim("none")]),
      ),
    );
  }
  if (!isSettled)
    print(dim("A handover is under way: what moves is served by nobody until all have adopted the roster."));
  return roster.members.length > 0 ? 0 : 1;
}

async function readView({ endpoint, prefix }: OwnersOptions): Promise<RosterView> {
  const client = openClient(endpoint);
  try {
    const range = await client.range(rosterRange(prefix));
    if (range.more) throw new TardigradeError("KV_REFUSED", `There are too many keys under ${prefix}/.`);
    return readRoster(prefix, range);
  } finally {
    client.close();
  }
}

function isNamed({ roster }: RosterView, id: string): boolean {
  return roster.members.some((member) => member.id === id);
}

function ownersOf({ roster }: RosterView, devices: readonly string[]): ReadonlyMap<string, string | null> {
  if (roster.members.length === 0) return new Map(devices.map((device) => [device, null]));
  const core = openCore(readCoreBytes());
  using placement = createPlacement(core, { kind: "rendezvous", nodes: roster.members });
  return new Map(devices.map((device) => [device, placement.owner(device)]));
}
