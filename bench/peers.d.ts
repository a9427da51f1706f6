/** The little that the benchmarks use of peers that bring no types. */
declare module "opossum" {
  export default class CircuitBreaker<A extends readonly unknown[], R> {
    constructor(action: (...args: A) => Promise<R>, options: Readonly<Record<string, unknown>>);
    fire(...args: A): Promise<R>;
    shutdown(): void;
  }
}
declare module "hashring" {
  export default class HashRing {
    constructor(servers: readonly string[]);
    get(key: string): string;
  }
}
