/** The protocol's device model on a real MQTT connection. */
import { connect, type MqttClient } from "mqtt";
import { DeviceModel, type DeviceModelOptions } from "./device-model.ts";

export interface MqttDevice {
  readonly model: DeviceModel;
  readonly client: MqttClient;
  close(): Promise<void>;
}

let sessions = 1;

export async function connectDevice(
  options: { readonly port: number; readonly site: string; readonly id: string } & Partial<
    Pick<DeviceModelOptions, "commands" | "metrics" | "ringMax">
  >,
): Promise<MqttDevice> {
  const { port, site, id } = options;
  const client = connect(`mqtt://127.0.0.1:${port}`, {
    clientId: id,
    reconnectPeriod: 50,
    will: {
      topic: `tardi/${site}/${id}/availability`,
      payload: Buffer.from("offline"),
      qos: 1,
      retain: true,
    },
  });
  const model = new DeviceModel({
    ...options,
    send: (payload) => client.publish(`tardi/${site}/${id}/up`, Buffer.from(payload), { qos: 1 }),
    nowMs: () => performance.now(),
    session: () => {
      sessions += 1;
      return sessions;
    },
  });
  client.on("message", (_topic, payload) => model.receive(payload));
  client.on("error", () => {});
  await new Promise<void>((resolve) => client.once("connect", () => resolve()));
  await client.subscribeAsync(`tardi/${site}/${id}/down`, { qos: 0 });
  model.connect();
  return {
    model,
    client,
    close: async () => {
      model.disconnect();
      await client.endAsync(true);
    },
  };
}
