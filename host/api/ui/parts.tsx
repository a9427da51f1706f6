/** Small pieces that several views use. */
import type { ComponentChildren } from "preact";

/** State in words and a shape; the colour only repeats them. */
/** `servedBy`: another gateway of the site knows the state. */
export function StateMark({
  state,
  servedBy,
}: {
  readonly state: string;
  readonly servedBy?: string | undefined;
}) {
  const shape = state === "online" ? "●" : state === "offline" ? "○" : "◌";
  return (
    <span class={`state ${state}`}>
      <span aria-hidden="true">{shape}</span>{" "}
      <span class="word">{servedBy === undefined ? state : `at ${servedBy}`}</span>
    </span>
  );
}

export function Severity({ of }: { readonly of: string }) {
  const shape = of === "info" ? "i" : of === "warning" || of === "warn" ? "!" : "‼";
  return (
    <span class={`severity ${of}`}>
      <span aria-hidden="true">{shape}</span> {of}
    </span>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      <p>{children}</p>
    </div>
  );
}

export function Figure({
  label,
  value,
  note,
}: {
  readonly label: string;
  readonly value: string;
  readonly note?: string | undefined;
}) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>
        {value}
        {note === undefined ? null : <small> {note}</small>}
      </dd>
    </div>
  );
}
