/** One device: what it measures, over time; what it should be and is; what it can be asked; what it said. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { CommandView, DeviceSummary, HistoryPoint, ShadowView } from "../../gateway/service.ts";
import type { Chart, Series } from "./chart.ts";
import { nowMs } from "./clock.ts";
import { agoText, numberText, parseArguments, parseValue, unitText, valueText } from "./format.ts";
import { Histograms } from "./histograms.tsx";
import { Empty, Figure, Severity, StateMark } from "./parts.tsx";
import { ApiError, ask, store, useStore } from "./store.ts";

const RANGES = [
  { label: "15 min", resolution: "raw", spanMs: 900_000 },
  { label: "24 h", resolution: "minute", spanMs: 86_400_000 },
  { label: "30 d", resolution: "hour", spanMs: 2_592_000_000 },
] as const;
type Range = (typeof RANGES)[number];
const POINTS_MAX = 4000;

export function Device({ id }: { readonly id: string }) {
  const { model, connection } = useStore();
  const device = model.devices.get(id);
  if (device === undefined) {
    return connection === "live" ? (
      <Empty title={`No device ${id}`}>
        It has not said hello to this gateway. <a href="#/">See the fleet</a>.
      </Empty>
    ) : (
      <p>Loading {id} …</p>
    );
  }
  return (
    <>
      <h1>
        {id} <StateMark state={device.state} servedBy={device.servedBy} />
      </h1>
      <Facts device={device} />
      <Readings key={id} device={device} />
      <Histograms key={`${id} histograms`} id={id} />
      <div class="columns">
        <Shadow id={id} />
        <Commands device={device} />
      </div>
      <Pins device={device} />
      <Log id={id} />
    </>
  );
}

function Facts({ device }: { readonly device: DeviceSummary }) {
  const { board, app, version, boot, lastSeenMs, counts } = device;
  return (
    <dl class="summary">
      <Figure label="Last seen" value={agoText(nowMs() - lastSeenMs)} />
      <Figure label="Firmware" value={`${app} ${version}`} note={`on ${board}`} />
      <Figure label="Boot" value={numberText(boot)} />
      <Figure label="Readings" value={counts.readings.toLocaleString("en-US")} />
      <Figure
        label="Dropped"
        value={numberText(counts.dropped)}
        note={counts.dropped > 0 ? "its ring was full" : undefined}
      />
      <Figure
        label="Possibly lost"
        value={numberText(counts.possibleGaps)}
        note={counts.possibleGaps > 0 ? "by power cuts, at most" : undefined}
      />
    </dl>
  );
}

function Readings({ device }: { readonly device: DeviceSummary }) {
  const [metric, setMetric] = useState(device.metrics[0]?.name);
  const [range, setRange] = useState<Range>(RANGES[0]);
  if (device.metrics.length === 0)
    return <Empty title="No readings">This device's firmware declares no metric.</Empty>;
  const chosen = device.metrics.find(({ name }) => name === metric) ?? device.metrics[0];
  if (chosen === undefined) return null;
  return (
    <section aria-labelledby="readings">
      <h2 id="readings">Readings</h2>
      <fieldset class="cards">
        <legend class="hidden">Metric to draw</legend>
        {device.metrics.map(({ name, unit, value, timeMs }) => (
          <label key={name} class="card" data-metric={name}>
            <input
              type="radio"
              name="metric"
              checked={name === chosen.name}
              onChange={() => setMetric(name)}
            />
            <span class="name">{name}</span>
            <span class="value">{valueText(value, unit)}</span>
            <span class="age">{timeMs === undefined ? "no reading yet" : agoText(nowMs() - timeMs)}</span>
          </label>
        ))}
      </fieldset>
      <fieldset class="ranges">
        <legend class="hidden">Range</legend>
        {RANGES.map((one) => (
          <label key={one.label}>
            <input type="radio" name="range" checked={one === range} onChange={() => setRange(one)} />
            {one.label}
          </label>
        ))}
      </fieldset>
      <Graph
        key={`${chosen.name} ${range.label}`}
        id={device.id}
        metric={chosen.name}
        unit={chosen.unit}
        range={range}
      />
    </section>
  );
}

interface GraphProps {
  readonly id: string;
  readonly metric: string;
  readonly unit: string;
  readonly range: Range;
}

function Graph({ id, metric, unit, range }: GraphProps) {
  const box = useRef<HTMLDivElement>(null);
  const [told, setTold] = useState("Loading …");
  useEffect(() => {
    let chart: Chart | undefined;
    let gone = false;
    const series: Series = { timesMs: [], values: [] };
    const draw = (): void => {
      const from = nowMs() - range.spanMs;
      while (series.timesMs.length > POINTS_MAX || (series.timesMs[0] ?? from) < from) {
        series.timesMs.shift();
        series.values.shift();
      }
      chart?.set(series);
      const low = Math.min(...series.values);
      const high = Math.max(...series.values);
      setTold(
        series.values.length === 0
          ? `No reading in the last ${range.label}.`
          : `${series.values.length} points, ${valueText(low, unit)} to ${valueText(high, unit)}.`,
      );
    };
    const stop = store.onReadings((event) => {
      if (event.device !== id || range.resolution !== "raw") return;
      for (const reading of event.readings) {
        if (reading.metric !== metric || reading.timeMs <= (series.timesMs.at(-1) ?? 0)) continue;
        series.timesMs.push(reading.timeMs);
        series.values.push(reading.value);
      }
      draw();
    });
    const load = async (): Promise<void> => {
      const { openChart } = await import("./chart.ts");
      const query = `metric=${encodeURIComponent(metric)}&resolution=${range.resolution}&limit=${POINTS_MAX}&from=${nowMs() - range.spanMs}`;
      const { points } = await ask<{ points: readonly HistoryPoint[] }>(
        `/api/devices/${id}/telemetry?${query}`,
      );
      if (gone || box.current === null) return;
      chart = openChart(box.current, unitText(unit) === "" ? metric : `${metric}, ${unitText(unit)}`);
      series.timesMs.splice(0, series.timesMs.length, ...points.map(({ timeMs }) => timeMs));
      series.values.splice(0, series.values.length, ...points.map(({ value }) => value));
      draw();
    };
    load().catch((error: unknown) => setTold(error instanceof Error ? error.message : String(error)));
    return () => {
      gone = true;
      stop();
      chart?.destroy();
    };
  }, [id, metric, unit, range]);
  return (
    <figure class="chart">
      <div ref={box} aria-hidden="true" />
      <figcaption>
        {metric}, {range.resolution === "raw" ? "each reading" : `mean of each ${range.resolution}`}: {told}
      </figcaption>
    </figure>
  );
}

/** Why a control cannot be used, or undefined. */
function useRefusal(): string | undefined {
  const { session, connection } = useStore();
  if (session?.role === "viewer") return "Your role is viewer: it may read. An operator may change this.";
  return connection === "live" ? undefined : "The gateway is not connected; what you send now would be lost.";
}

function Shadow({ id }: { readonly id: string }) {
  const { model } = useStore();
  const shadow = model.shadows.get(id);
  const refusal = useRefusal();
  const [told, setTold] = useState("");
  useEffect(() => {
    ask<ShadowView>(`/api/devices/${id}/shadow`)
      .then((view) => {
        model.shadows.set(id, view);
        store.changed();
      })
      .catch(() => undefined);
  }, [id, model]);
  const save = async (key: string, text: string): Promise<void> => {
    const value = text.trim() === "" ? null : parseValue(text);
    try {
      setTold(`Saving ${key} …`);
      const view = await ask<ShadowView>(`/api/devices/${id}/shadow`, {
        method: "PATCH",
        body: { desired: { [key]: value ?? null } },
        headers: shadow === undefined ? {} : { "if-match": `"${shadow.version}"` },
      });
      model.shadows.set(id, view);
      store.changed();
      setTold(`${key} is desired, version ${view.version}; waiting for the device to report it.`);
    } catch (error) {
      setTold(error instanceof ApiError ? `${error.code}: ${error.message}` : String(error));
    }
  };
  const keys = [
    ...new Set([...Object.keys(shadow?.desired ?? {}), ...Object.keys(shadow?.reported ?? {})]),
  ].sort();
  return (
    <section aria-labelledby="shadow">
      <h2 id="shadow">Shadow</h2>
      {refusal === undefined ? null : <p class="refusal">{refusal}</p>}
      {keys.length === 0 ? <p class="quiet">Nothing is desired or reported yet.</p> : null}
      {keys.length === 0 ? null : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col">Desired</th>
              <th scope="col">Reported</th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <ShadowRow
                key={key}
                name={key}
                desired={shadow?.desired[key]}
                reported={shadow?.reported[key]}
                disabled={refusal !== undefined}
                onSave={(text) => save(key, text)}
              />
            ))}
          </tbody>
        </table>
      )}
      <NewKey disabled={refusal !== undefined} onSave={save} />
      <p role="status" class="told">
        {told}
      </p>
    </section>
  );
}

interface ShadowRowProps {
  readonly name: string;
  readonly desired: boolean | number | string | undefined;
  readonly reported: boolean | number | string | undefined;
  readonly disabled: boolean;
  readonly onSave: (text: string) => void;
}

function ShadowRow({ name, desired, reported, disabled, onSave }: ShadowRowProps) {
  const [text, setText] = useState<string | undefined>(undefined);
  const shown = text ?? (desired === undefined ? "" : String(desired));
  const differs = desired !== undefined && desired !== reported;
  return (
    <tr data-key={name}>
      <th scope="row">{name}</th>
      <td>
        <form
          class="edit"
          onSubmit={(event) => {
            event.preventDefault();
            onSave(shown);
            setText(undefined);
          }}
        >
          <input
            aria-label={`Desired ${name}; empty removes it`}
            value={shown}
            disabled={disabled}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          {text === undefined ? null : (
            <button type="submit" disabled={disabled}>
              Save
            </button>
          )}
        </form>
      </td>
      <td class={differs ? "warned" : ""}>
        {reported === undefined ? "–" : String(reported)}
        {differs ? <small> differs</small> : null}
      </td>
    </tr>
  );
}

function NewKey({
  disabled,
  onSave,
}: {
  readonly disabled: boolean;
  readonly onSave: (key: string, text: string) => void;
}) {
  const [text, setText] = useState("");
  const at = text.indexOf("=");
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        if (at < 1) return;
        onSave(text.slice(0, at).trim(), text.slice(at + 1));
        setText("");
      }}
    >
      <input
        aria-label="New desired value, as key=value"
        placeholder="key=value"
        value={text}
        disabled={disabled}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" disabled={disabled || at < 1}>
        Add
      </button>
    </form>
  );
}

function Commands({ device }: { readonly device: DeviceSummary }) {
  const { model } = useStore();
  const refusal = useRefusal();
  const [name, setName] = useState(device.commands[0] ?? "");
  const [text, setText] = useState("");
  const [told, setTold] = useState("");
  const past = model.commands.get(device.id) ?? [];
  const run = async (): Promise<void> => {
    const parsed = parseArguments(text);
    if ("wrong" in parsed) return setTold(`"${parsed.wrong}" is not name=value, for example seconds=5.`);
    try {
      setTold(`${name}: waiting for the device …`);
      const view = await ask<CommandView>(`/api/devices/${device.id}/commands`, {
        method: "POST",
        body: { name, args: parsed.args },
      });
      const result = view.result === undefined ? "" : ` with ${view.result}`;
      setTold(
        `${name} was acknowledged${result} after ${Math.round((view.endedMs ?? view.sentMs) - view.sentMs)} ms.`,
      );
    } catch (error) {
      setTold(error instanceof ApiError ? `${error.code}: ${error.message}` : String(error));
    }
  };
  return (
    <section aria-labelledby="commands">
      <h2 id="commands">Commands</h2>
      {device.commands.length === 0 ? (
        <p class="quiet">This device's firmware answers no command.</p>
      ) : (
        <form
          class="edit"
          onSubmit={(event) => {
            event.preventDefault();
            run();
          }}
        >
          <select
            aria-label="Command"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            disabled={refusal !== undefined}
          >
            {device.commands.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          <input
            aria-label="Arguments, as name=value"
            placeholder="seconds=5"
            value={text}
            disabled={refusal !== undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit" disabled={refusal !== undefined}>
            Run
          </button>
        </form>
      )}
      {refusal === undefined ? null : <p class="refusal">{refusal}</p>}
      <p role="status" class="told">
        {told}
      </p>
      <ul class="past">
        {past.map((command) => (
          <li key={command.id}>
            <code>{command.name}</code> <span class={`outcome ${command.state}`}>{command.state}</span>
            {command.code === undefined ? "" : ` ${command.code}`}
            {command.result === undefined ? "" : ` ${command.result}`}{" "}
            <small>{agoText(nowMs() - command.sentMs)}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

const PIN_MODES = ["off", "input", "output", "PWM", "analog"];

function Pins({ device }: { readonly device: DeviceSummary }) {
  if (device.pins.length === 0) return null;
  return (
    <section aria-labelledby="pins">
      <h2 id="pins">Pins</h2>
      <ul class="pins">
        {device.pins.map(({ pin, mode, value }) => (
          <li key={pin}>
            <strong>{pin}</strong> {PIN_MODES[mode] ?? mode} <span class="value">{numberText(value)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Log({ id }: { readonly id: string }) {
  const { model } = useStore();
  const lines = model.logs.get(id) ?? [];
  return (
    <section aria-labelledby="log">
      <h2 id="log">Log</h2>
      {lines.length === 0 ? <p class="quiet">It said nothing lately.</p> : null}
      <ol class="log">
        {lines.map((line, at) => (
          <li key={`${line.timeMs} ${at}`}>
            <time>{new Date(line.timeMs).toISOString().slice(11, 19)}</time> <Severity of={line.severity} />{" "}
            {line.text}
          </li>
        ))}
      </ol>
    </section>
  );
}
