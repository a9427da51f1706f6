/** tardigrade/gateway: a gateway inside another program, put together from its parts. */
export { type Gateway, type GatewayOptions, openGateway } from "../gateway/gateway.ts";
export type {
  AlertView,
  CommandView,
  DeviceSummary,
  ErrorView,
  GatewayEvent,
  GatewayService,
  HealthView,
  HistoryPoint,
  ShadowView,
} from "../gateway/service.ts";
export type { DeviceShare, OpenShare, ShareHost, ShareState } from "../gateway/shared-site.ts";
