/**
 * Decision traces: the same steps give the same outputs in every build of the core; test/boards/native/decisions.test.ts replays them on an emulated
 * Pico. UPDATE_VECTORS=1 draws them anew, which is a change of decisions that a reviewer should see.
 */
import { expect, test } from "vitest";
import { DEVICE_FLAGS, HOST_FLAGS } from "../../scripts/build-wasm.ts";
import {
  drawTraces,
  MACHINE_NAMES,
  openMachines,
  outputsOf,
  readTraces,
  writeTraces,
} from "../support/decisions.ts";

test("the traces of protocols/vectors/decisions.json give their outputs, in the host's build and in a device's", async () => {
  const host = await openMachines(HOST_FLAGS);
  const device = await openMachines(DEVICE_FLAGS);
  if (process.env.UPDATE_VECTORS === "1") writeTraces(drawTraces(host));
  const traces = readTraces();
  expect(new Set(traces.map(({ machine }) => machine))).toEqual(new Set(MACHINE_NAMES));
  for (const trace of traces) {
    const outputs = trace.steps.map((step) => step[4]);
    expect(outputsOf(host, trace), trace.machine).toEqual(outputs);
    expect(outputsOf(device, trace), trace.machine).toEqual(outputs);
    // A trace that never refuses or never grants shows little.
    expect(new Set(outputs).size, trace.machine).toBeGreaterThan(1);
  }
}, 60_000);
