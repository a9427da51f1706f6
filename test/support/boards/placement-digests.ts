/** What the app test/fixtures/apps/placement has to answer, as the host's placements say. */
import { createPlacement, type PlacementKind } from "../../../host/core/placement.ts";
import { openTestCore } from "../core.ts";

const NODES = [
  { id: "cellar" },
  { id: "hall", weight: 0.5 },
  { id: "loft", weight: 2 },
  { id: "roof" },
  { id: "yard", weight: 1.5 },
];
const KEYS = [
  ...Array.from({ length: 8 }, (_, index) => `device-${index}`),
  "greenhouse",
  "Gewächshaus",
  "温室",
  "a key that is longer than the thirty-two bytes of a stripe",
];
const DEPUTIES = 2;

export const PLACEMENT_APP = "test/fixtures/apps/placement/app.ts";
/** Of the app's command `refused`. */
export const REFUSED = 8;

/** By the app's kinds: jump, rendezvous, ring, Maglev, ranks by rendezvous, ranks by the ring. */
export function placementDigests(): readonly number[] {
  const core = openTestCore();
  const placed = (kind: PlacementKind) =>
    createPlacement(core, {
      kind,
      nodes: kind === "jump" ? NODES.map(({ id }) => ({ id })) : NODES,
      points: 16,
      slots: 251,
    });
  const [jump, rendezvous, ring, maglev] = (["jump", "rendezvous", "ring", "maglev"] as const).map(placed);
  const index = (id: string): number => NODES.findIndex((node) => node.id === id);
  const owners = (placement: typeof jump) => KEYS.map((key) => index(placement?.owner(key) ?? ""));
  const ranks = (placement: typeof jump) =>
    KEYS.map((key) =>
      (placement?.owners(key, 1 + DEPUTIES) ?? []).reduce((number, id) => number * 10 + index(id), 0),
    );
  return [...[jump, rendezvous, ring, maglev].map(owners), ...[rendezvous, ring].map(ranks)].map(digestOf);
}

/** FNV-1a over words. */
function digestOf(words: readonly number[]): number {
  return words.reduce((digest, word) => Math.imul(digest ^ word, 16_777_619), 0x811c9dc5) >>> 0;
}
