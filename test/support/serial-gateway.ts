/** A gateway as `tardi gateway run` puts it together, from a configuration with one serial port in it. */
import { join } from "node:path";
import { loadConfig } from "../../host/cli/config.ts";
import { type RunningGateway, runGateway } from "../../host/cli/gateway-run.ts";
import { freePort } from "./processes.ts";

export async function serialGateway(folder: string, port: string, device: string): Promise<RunningGateway> {
  const text = `
data: ${join(folder, "data")}
mqtt: { port: ${await freePort()} }
http: { port: ${await freePort()} }
store: { segmentMb: 1, retentionMb: 16, state: memory }
log: { level: silent }
serial:
  - port: ${port}
    device: ${device}
`;
  return runGateway(loadConfig(text, "tardigrade.yaml"));
}
