/**
 * The network of a node in a network namespace of its own. Nodes call each other 127.0.0.1, 127.0.0.2, 127.0.0.3, the only addresses that they
 * take until they can prove who they are; the packets go to 10.77.N.2, where the namespace of node N is.
 */
import { nodeNetwork } from "../../../host/io/network.ts";
import type { Network } from "../../../host/io/seams.ts";

export function namespaceOf(id: number): string {
  return `10.77.${id}.2`;
}

export function namespacedNetwork(): Network {
  const network = nodeNetwork();
  const moved = <Address extends { readonly host: string }>(address: Address): Address => ({
    ...address,
    host: namespaceOf(Number(address.host.split(".")[3])),
  });
  return {
    ...network,
    listen: (address, onStream) => network.listen(moved(address), onStream),
    connect: (address) => network.connect(moved(address)),
  };
}
