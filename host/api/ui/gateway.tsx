/** The gateway itself: whether it is well, what it carries, what it keeps; and errors by code. */
import { useEffect, useState } from "preact/hooks";
import { every, nowMs } from "./clock.ts";
import { ageText, agoText, bytesText, numberText } from "./format.ts";
import { Empty, Figure, Severity } from "./parts.tsx";
import { useStore } from "./store.ts";

const METRICS_EVERY_MS = 5000;

export function Gateway() {
  const { model } = useStore();
  const { info, health } = model;
  const memory = useMetric("tardigrade_process_resident_memory_bytes");
  const delayS = useMetric("tardigrade_process_event_loop_delay_p99_seconds");
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

/** One of /metrics, read now and then. */
function useMetric(name: string): number | undefined {
  const [value, setValue] = useState<number | undefined>(undefined);
  useEffect(() => {
    const read = async (): Promise<void> => {
      const text = await (await fetch("/metrics")).text();
      const found = new RegExp(`^${name} ([0-9.e+]+)$`, "m").exec(text)?.[1];
      if (found !== undefined) setValue(Number(found));
    };
    read().catch(() => undefined);
    return every(METRICS_EVERY_MS, () => void read().catch(() => undefined));
  }, [name]);
  return value;
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
