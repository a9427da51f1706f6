/** The gateway itself: whether it is well, what it carries, what it keeps; and errors by code. */
import { useEffect, useState } from "preact/hooks";
import { every, nowMs } from "./clock.ts";
import { ageText, agoText, bytesText, numberText } from "./format.ts";
import { byDevice, latencySeconds, parseMetrics, type Scrape } from "./metrics.ts";
import { Empty, Figure, Severity } from "./parts.tsx";
import { useStore } from "./store.ts";

const METRICS_EVERY_MS = 5000;

export function Gateway() {
  const { model } = useStore();
  const { info, health } = model;
  const scrape = useMetrics();
  const memory = scrape?.get("tardigrade_process_resident_memory_bytes");
  const delayS = scrape?.get("tardigrade_process_event_loop_delay_p99_seconds");
  const rate = [...model.rates.values()].reduce((sum, it) => sum + it, 0);
  if (info === undefined || health === undefined) return <p>Loading …</p>;
  const { totals, log, forwarder } = info;
  return (
    <>
      <h1>
        Gateway of {info.site} <span class={`health ${health.state}`}>{health.state}</span>
      </h1>
      <dl class="summary">
        <Figure
          label="Running for"
          value={ageText(nowMs() - info.startedMs)}
          note={`version ${info.version}`}
        />
        <Figure
          label="Readings"
          value={`${numberText(rate)}/s`}
          note={`${totals.readings.toLocaleString("en-US")} in all`}
        />
        <Figure label="Memory" value={memory === undefined ? "–" : bytesText(memory)} />
        <Figure
          label="Event loop delay"
          value={delayS === undefined ? "–" : `${numberText(delayS * 1000)} ms`}
          note="99th percentile"
        />
        <Figure
          label="Log"
          value={bytesText(log.syncedOffset - log.startOffset)}
          note={`synced up to ${log.syncedOffset.toLocaleString("en-US")}`}
        />
        <Figure
          label="Duplicates"
          value={numberText(totals.duplicates)}
          note="acknowledged again, not stored"
        />
        <Figure
          label="Commands"
          value={`${totals.commandsAcked} of ${totals.commandsSent}`}
          note="answered"
        />
      </dl>
      <h2>Checks</h2>
      <table class="plain">
        <tbody>
          {health.checks.map(({ name, ok, detail }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class={ok ? "" : "warned"}>{ok ? "ok" : "not ok"}</td>
              <td>{detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Latencies scrape={scrape} />
      <Links scrape={scrape} />
      {forwarder === undefined ? null : (
        <>
          <h2>Forwarding</h2>
          <p>
            To {forwarder.target}: {forwarder.connected ? "connected" : "not connected"},{" "}
            {forwarder.forwarded.toLocaleString("en-US")} messages, {bytesText(forwarder.backlogBytes)}{" "}
            behind.
          </p>
        </>
      )}
      <Alerts />
    </>
  );
}

/** /metrics, read now and then. */
function useMetrics(): Scrape | undefined {
  const [scrape, setScrape] = useState<Scrape | undefined>(undefined);
  useEffect(() => {
    const read = async (): Promise<void> => {
      const answer = await fetch("/metrics");
      if (answer.ok) setScrape(parseMetrics(await answer.text()));
    };
    read().catch(() => undefined);
    return every(METRICS_EVERY_MS, () => void read().catch(() => undefined));
  }, []);
  return scrape;
}

const LATENCIES = [
  { of: "log_sync", label: "Sync of the log", note: "an acknowledgement waits for it" },
  { of: "http_request", label: "HTTP answer", note: "all routes" },
];

function Latencies({ scrape }: { readonly scrape: Scrape | undefined }) {
  if (scrape === undefined) return null;
  const text = (share: number, of: string): string => {
    const seconds = latencySeconds(scrape, { of, share });
    return seconds === undefined ? "–" : `${numberText(seconds * 1000)} ms`;
  };
  return (
    <>
      <h2>Latencies of the last minute</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Median</th>
            <th scope="col">99 %</th>
            <th scope="col" />
          </tr>
        </thead>
        <tbody>
          {LATENCIES.map(({ of, label, note }) => (
            <tr key={of}>
              <th scope="row">{label}</th>
              <td>{text(0.5, of)}</td>
              <td>{text(0.99, of)}</td>
              <td>{note}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

const LINK_COLUMNS = [
  { name: "tardigrade_serial_opens_total", label: "Opened" },
  { name: "tardigrade_serial_failures_total", label: "Lost" },
  { name: "tardigrade_serial_frames_damaged_total", label: "Damaged frames" },
  { name: "tardigrade_serial_retries_total", label: "Sent again" },
];

/** Ports of this machine: serial links and Firmata boards. */
function Links({ scrape }: { readonly scrape: Scrape | undefined }) {
  const { model } = useStore();
  if (scrape === undefined) return null;
  const columns = LINK_COLUMNS.map(({ name }) => byDevice(name, scrape));
  const devices = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort();
  if (devices.length === 0) return null;
  return (
    <>
      <h2>Links</h2>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Device</th>
            <th scope="col">State</th>
            {LINK_COLUMNS.map(({ label }) => (
              <th scope="col" key={label}>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {devices.map((device) => (
            <tr key={device} data-link={device}>
              <th scope="row">
                <a href={`#/device/${device}`}>{device}</a>
              </th>
              <td>{model.devices.get(device)?.state ?? "never heard"}</td>
              {columns.map((column, at) => (
                <td key={LINK_COLUMNS[at]?.label}>{(column.get(device) ?? 0).toLocaleString("en-US")}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Alerts() {
  const { model } = useStore();
  return (
    <>
      <h2>Alerts</h2>
      {model.alerts.length === 0 ? <p class="quiet">None was raised.</p> : null}
      <ul class="alerts">
        {model.alerts.map(({ id, code, severity, message, raisedMs, clearedMs }) => (
          <li key={`${id} ${raisedMs}`} class={clearedMs === undefined ? "active" : "cleared"}>
            <Severity of={severity} /> <code>{code}</code> {message}{" "}
            <small>
              raised {agoText(nowMs() - raisedMs)}
              {clearedMs === undefined ? "" : `, cleared ${agoText(nowMs() - clearedMs)}`}
            </small>
          </li>
        ))}
      </ul>
    </>
  );
}

export function Errors() {
  const { model } = useStore();
  return (
    <>
      <h1>Errors</h1>
      {model.errors.length === 0 ? (
        <Empty title="No error">
          Nothing was refused and no device reported one since the gateway started.
        </Empty>
      ) : null}
      {model.errors.map(({ code, component, severity, count, perMinute, lastMs, last, help }) => (
        <details key={`${code} ${component}`} class="error">
          <summary>
            <Severity of={severity} /> <code>{code}</code> in {component}: {count.toLocaleString("en-US")}
            <small>
              {" "}
              {numberText(perMinute)} a minute, last {agoText(nowMs() - lastMs)}
            </small>
          </summary>
          <p>{help}</p>
          <ul>
            {last.map(({ timeMs, message, device }, at) => (
              <li key={`${timeMs} ${at}`}>
                <time>{new Date(timeMs).toISOString().slice(11, 19)}</time>{" "}
                {device === undefined ? "" : <a href={`#/device/${device}`}>{device}</a>} {message}
              </li>
            ))}
          </ul>
        </details>
      ))}
    </>
  );
}
