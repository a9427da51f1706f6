import { SimulatedBroker } from "../../host/world/broker.ts";
import { SimulatedClock } from "../../host/world/clock.ts";
import { brokerSuite } from "./broker-suite.ts";

brokerSuite("simulated, at once", async () => {
  const broker = new SimulatedBroker();
  const clock = new SimulatedClock();
  const until = async (condition: () => boolean) => {
    while (!condition()) await clock.settle();
  };
  return { broker, prefix: "test", until, close: () => broker.close() };
});

brokerSuite("simulated, with latency", async () => {
  const clock = new SimulatedClock();
  const broker = new SimulatedBroker({ clock, latencyMs: 15 });
  return {
    broker,
    prefix: "test",
    until: (condition) => clock.runUntil(condition),
    close: () => broker.close(),
  };
});
