/**
 * tardigrade/hash: which of several nodes a key belongs to, so that few keys move when nodes come and go.
 *
 *     using before = placement({ kind: "maglev", nodes: [{ id: "gateway-a" }, { id: "gateway-b" }] });
 *     before.owner("greenhouse-01");
 */
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { createPlacement, type Placement, type PlacementOptions } from "../core/placement.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export {
  KEY_BYTES_MAX,
  MAGLEV_SLOTS,
  type Move,
  migrationPlan,
  NODES_MAX,
  type Node,
  type Placement,
  type PlacementKind,
  type PlacementOptions,
  RING_POINTS,
} from "../core/placement.ts";

let core: Core | undefined;

/** Throws ARGUMENT. Dispose of what is not needed any more (`using`): its memory is used again. */
export function placement(options: PlacementOptions): Placement {
  core ??= openCore(readCoreBytes());
  return createPlacement(core, options);
}
