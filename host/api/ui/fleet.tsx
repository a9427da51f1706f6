/** The fleet: a row a device, of which only those near what is seen are in the document. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { DeviceSummary } from "../../gateway/service.ts";
import { nowMs } from "./clock.ts";
import { agoText, numberText, valueText } from "./format.ts";
import { type FleetQuery, groupsOf, type SortKey, select, windowOf } from "./model.ts";
import { Empty, Figure, StateMark } from "./parts.tsx";
import { useStore } from "./store.ts";

export const ROW_PX = 40;
const ROWS_MAX = 76;
/** The others are hidden there, and a table of fixed layout would give room to each column that a row spans. */
const COLUMNS_ON_PHONES = 4;
const COLUMNS: readonly {
  readonly key: SortKey | undefined;
  readonly label: string;
  readonly kind: string;
}[] = [
  { key: "state", label: "State", kind: "state" },
  { key: "id", label: "Device", kind: "id" },
  { key: undefined, label: "Newest readings", kind: "values" },
  { key: "seen", label: "Last seen", kind: "number" },
  { key: "rate", label: "Readings/s", kind: "number wide" },
  { key: "app", label: "Firmware", kind: "wide" },
  { key: "board", label: "Board", kind: "wide" },
  { key: "dropped", label: "Dropped", kind: "number wide" },
  { key: "errors", label: "Errors", kind: "number wide" },
];

export function Fleet() {
  const { model } = useStore();
  const [query, setQuery] = useState<FleetQuery>({
    search: "",
    state: "all",
    group: "",
    sort: "id",
    descending: false,
  });
  const devices = select(model, query);
  const set = (change: Partial<FleetQuery>): void => setQuery({ ...query, ...change });
  const groups = groupsOf(model);
  return (
    <>
      <h1>Fleet</h1>
      <Summary />
      <search class="filters">
        <label>
          Search
          <input
            type="search"
            value={query.search}
            placeholder="id, board, firmware"
            onInput={(event) => set({ search: event.currentTarget.value })}
          />
        </label>
        <label>
          State
          <select
            value={query.state}
            onChange={(event) => set({ state: event.currentTarget.value as FleetQuery["state"] })}
          >
            <option value="all">all</option>
            <option value="online">online</option>
            <option value="offline">not online</option>
          </select>
        </label>
        <label>
          Group
          <select value={query.group} onChange={(event) => set({ group: event.currentTarget.value })}>
            <option value="">all</option>
            {groups.map((group) => (
              <option key={group} value={group}>
                {group}
              </option>
            ))}
          </select>
        </label>
        <output class="count">
          {devices.length} of {model.devices.size}
        </output>
      </search>
      {model.devices.size === 0 ? (
        <Empty title="No device yet">
          Point one at this gateway's MQTT broker, or try <code>tardi start</code>: it brings boards along.
        </Empty>
      ) : devices.length === 0 ? (
        <Empty title="Nothing matches">
          No device has all of these words, this state and this group.{" "}
          <button type="button" onClick={() => set({ search: "", state: "all", group: "" })}>
            Show all
          </button>
        </Empty>
      ) : (
        <Table devices={devices} query={query} onSort={set} />
      )}
    </>
  );
}

function Summary() {
  const { model } = useStore();
  const { totals } = model.info ?? {};
  const online = [...model.devices.values()].filter(({ state }) => state === "online").length;
  const active = model.alerts.filter(({ clearedMs }) => clearedMs === undefined);
  const rate = [...model.rates.values()].reduce((sum, it) => sum + it, 0);
  return (
    <dl class="summary">
      <Figure label="Online" value={`${online}`} note={`of ${model.devices.size}`} />
      <Figure label="Alerts" value={`${active.length}`} note={active[0]?.code} />
      <Figure label="Readings" value={`${numberText(rate)}/s`} />
      <Figure label="Dropped by devices" value={numberText(totals?.dropped ?? 0)} />
      <Figure label="Refused" value={numberText(totals?.refused ?? 0)} />
    </dl>
  );
}

interface TableProps {
  readonly devices: readonly DeviceSummary[];
  readonly query: FleetQuery;
  readonly onSort: (change: Partial<FleetQuery>) => void;
}

function Table({ devices, query, onSort }: TableProps) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollPx: 0, heightPx: 800 });
  const measure = useMemo(
    () => () => {
      const found = box.current;
      if (found !== null) setView({ scrollPx: found.scrollTop, heightPx: found.clientHeight });
    },
    [],
  );
  useEffect(() => {
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, [measure]);
  const { first, end } = windowOf({ ...view, rowPx: ROW_PX, count: devices.length, most: ROWS_MAX });
  const sortBy = (key: SortKey): void =>
    onSort({ sort: key, descending: query.sort === key && !query.descending });
  const ariaSort = (key: SortKey | undefined) =>
    key !== query.sort ? undefined : query.descending ? "descending" : "ascending";
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="scroll" ref={box} onScroll={measure} tabIndex={0} aria-label="Devices, scrollable">
      <table aria-rowcount={devices.length + 1}>
        <thead>
          <tr>
            {COLUMNS.map(({ key, label, kind }) => (
              <th key={label} class={kind} scope="col" aria-sort={ariaSort(key)}>
                {key === undefined ? (
                  label
                ) : (
                  <button type="button" onClick={() => sortBy(key)}>
                    {label}
                    <span aria-hidden="true">
                      {key === query.sort ? (query.descending ? " ↓" : " ↑") : ""}
                    </span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer rows={first} />
          {devices.slice(first, end).map((device, at) => (
            <Row key={device.id} device={device} index={first + at + 2} />
          ))}
          <Spacer rows={devices.length - end} />
        </tbody>
      </table>
    </section>
  );
}

function Spacer({ rows }: { readonly rows: number }) {
  if (rows <= 0) return null;
  return (
    <tr class="spacer" style={{ height: `${rows * ROW_PX}px` }}>
      <td colSpan={COLUMNS_ON_PHONES} />
    </tr>
  );
}

function Row({ device, index }: { readonly device: DeviceSummary; readonly index: number }) {
  const { model } = useStore();
  const { id, state, servedBy, app, version, board, metrics, lastSeenMs, counts } = device;
  const shown = metrics.filter(({ value }) => value !== undefined).slice(0, 3);
  return (
    <tr aria-rowindex={index} data-device={id}>
      <td class="state">
        <StateMark state={state} servedBy={servedBy} />
      </td>
      <td class="id">
        <a href={`#/device/${id}`}>{id}</a>
      </td>
      <td class="values">
        {shown.map(({ name, value, unit }) => (
          <span key={name} title={name}>
            {valueText(value, unit)}
          </span>
        ))}
      </td>
      <td class="number">{agoText(nowMs() - lastSeenMs)}</td>
      <td class="number wide">{numberText(model.rates.get(id) ?? 0)}</td>
      <td class="wide">
        {app} {version}
      </td>
      <td class="wide">{board}</td>
      <td class={`number wide ${counts.dropped > 0 ? "warned" : ""}`}>{numberText(counts.dropped)}</td>
      <td class={`number wide ${counts.errors > 0 ? "warned" : ""}`}>{numberText(counts.errors)}</td>
    </tr>
  );
}
