/** The key-value machine, slow and obvious: commands as objects, state in maps, nothing stored. */
import type { KvCommand, KvCondition, KvSession } from "../../../../host/cluster/kv/command.ts";
import type { KvEvent } from "../../../../host/cluster/kv/events.ts";
import type { KvLimits } from "../../../../host/cluster/kv/limits.ts";
import type { KvItem } from "../../../../host/cluster/kv/read.ts";
import type { KvCode, KvResult } from "../../../../host/cluster/kv/result.ts";

const utf8 = new TextEncoder();
export const byBytes = (a: string, b: string): number => Buffer.compare(utf8.encode(a), utf8.encode(b));

interface ModelSession {
  lastIndex: number;
  below: number;
  readonly results: Map<number, KvResult>;
}
type Answer = Partial<Pick<KvResult, "code" | "value" | "count" | "more">>;

export class KvModel {
  readonly limits: KvLimits;
  readonly items = new Map<string, KvItem>();
  /** Without an expiry while it waits for a tick. */
  readonly leases = new Map<number, { readonly ttlMs: number; expiryMs: number | undefined }>();
  readonly sessions = new Map<number, ModelSession>();
  readonly events: KvEvent[] = [];
  revision = 0;
  timeMs = 0;
  /** Commands that took effect, by session and sequence: none may stand here twice. */
  readonly effects: string[] = [];

  constructor(limits: KvLimits) {
    this.limits = limits;
  }

  apply(index: number, command: KvCommand, session?: KvSession): KvResult {
    const whole = (answer: Answer): KvResult => ({
      code: "OK",
      op: command.op,
      more: false,
      count: 0,
      value: 0,
      ...answer,
      revision: this.revision,
    });
    if (command.op === "session-close") {
      return whole(this.sessions.delete(session?.id ?? 0) ? {} : { code: "SESSION_EXPIRED" });
    }
    if (session === undefined) return whole(this.execute(index, command));
    const found = this.sessions.get(session.id);
    if (found === undefined) return whole({ code: "SESSION_EXPIRED" });
    found.lastIndex = index;
    found.below = Math.max(found.below, session.acknowledgedBelow);
    for (const sequence of [...found.results.keys()])
      if (sequence < found.below) found.results.delete(sequence);
    if (session.sequence < found.below) return whole({ code: "SESSION_STALE" });
    const before = found.results.get(session.sequence);
    if (before !== undefined) return before;
    if (session.sequence >= found.below + this.limits.sessionWindow) return whole({ code: "SESSION_WINDOW" });
    const result = whole(this.execute(index, command));
    this.effects.push(`${session.id}/${session.sequence}`);
    found.results.set(session.sequence, result);
    return result;
  }

  sorted(): KvItem[] {
    return [...this.items.values()].sort((a, b) => byBytes(a.key, b.key));
  }
  bytes(): number {
    return [...this.items.values()].reduce((sum, item) => sum + item.key.length + 32 + item.value.length, 0);
  }
  keysOf(lease: number): string[] {
    return this.sorted()
      .filter((item) => item.lease === lease)
      .map((item) => item.key);
  }
  lives(lease: number): boolean {
    const found = this.leases.get(lease);
    return found !== undefined && (found.expiryMs === undefined || found.expiryMs > this.timeMs);
  }

  private execute(index: number, command: KvCommand): Answer {
    switch (command.op) {
      case "put":
        return this.put(command);
      case "delete": {
        const value = this.items.get(command.key)?.modRevision ?? 0;
        if (!this.holds(command.key, command.when)) return { code: "CONDITION", value };
        return { value, count: this.remove(command.key) };
      }
      case "delete-range": {
        const inside = [...this.items.keys()]
          .sort(byBytes)
          .filter(
            (key) => byBytes(command.from, key) <= 0 && (command.to === "" || byBytes(key, command.to) < 0),
          );
        const limit = Math.min(command.limit ?? this.limits.deletes, this.limits.deletes);
        for (const key of inside.slice(0, limit)) this.remove(key);
        return { count: Math.min(limit, inside.length), more: inside.length > limit };
      }
      case "lease-grant":
        if (this.leases.size >= this.limits.leases) return { code: "LEASES_FULL" };
        this.revision += 1;
        this.leases.set(this.revision, { ttlMs: command.ttlMs, expiryMs: undefined });
        return { value: this.revision };
      case "lease-keep-alive": {
        const lease = this.leases.get(command.lease);
        if (lease === undefined || !this.lives(command.lease)) return { code: "LEASE_NOT_FOUND" };
        lease.expiryMs = undefined;
        return {};
      }
      case "lease-revoke":
        if (!this.leases.has(command.lease)) return { code: "LEASE_NOT_FOUND" };
        return { count: this.end(command.lease) };
      case "tick":
        return this.tick(command.timeMs);
      default:
        return { value: this.open(index) };
    }
  }

  private put({ key, value, lease = 0, when }: Extract<KvCommand, { op: "put" }>): Answer {
    const old = this.items.get(key);
    const answer = (code: KvCode): Answer => ({ code, value: old?.modRevision ?? 0 });
    if (!this.holds(key, when)) return answer("CONDITION");
    if (lease !== 0 && !this.lives(lease)) return answer("LEASE_NOT_FOUND");
    if (lease !== 0 && old?.lease !== lease && this.keysOf(lease).length >= this.limits.leaseKeys)
      return answer("LEASE_KEYS_FULL");
    const bytes = this.bytes() + value.length - (old === undefined ? -key.length - 32 : old.value.length);
    if (bytes > this.limits.bytes) return answer("STORE_FULL");
    if (old === undefined && this.items.size >= this.limits.keys) return answer("STORE_FULL");
    this.revision += 1;
    const { revision } = this;
    const createRevision = old?.createRevision ?? revision;
    const version = (old?.version ?? 0) + 1;
    this.items.set(key, { key, value, createRevision, modRevision: revision, version, lease });
    this.events.push({ type: "put", key, value, createRevision, revision, version, lease });
    return answer("OK");
  }

  private holds(key: string, when: KvCondition | undefined): boolean {
    if (when === undefined) return true;
    const item = this.items.get(key);
    if ("revision" in when) return when.revision === (item?.modRevision ?? 0);
    return item !== undefined && Buffer.compare(item.value, when.value) === 0;
  }

  private remove(key: string): number {
    if (!this.items.delete(key)) return 0;
    this.revision += 1;
    this.events.push({ type: "delete", key, revision: this.revision });
    return 1;
  }

  private end(lease: number): number {
    const keys = this.keysOf(lease);
    for (const key of keys) this.remove(key);
    this.leases.delete(lease);
    return keys.length;
  }

  private tick(timeMs: number): Answer {
    this.timeMs = Math.max(this.timeMs, timeMs);
    let count = 0;
    let more = false;
    for (const lease of [...this.leases.keys()].sort((a, b) => a - b)) {
      if (this.lives(lease)) continue;
      if (count > 0 && count + this.keysOf(lease).length > this.limits.deletes) {
        more = true;
        break;
      }
      count += this.end(lease);
    }
    for (const lease of this.leases.values()) lease.expiryMs ??= this.timeMs + lease.ttlMs;
    return { value: this.timeMs, count, more };
  }

  private open(index: number): number {
    if (this.sessions.size >= this.limits.sessions) {
      const [oldest] = [...this.sessions].sort(([, a], [, b]) => a.lastIndex - b.lastIndex);
      this.sessions.delete((oldest as [number, ModelSession])[0]);
    }
    this.sessions.set(index, { lastIndex: index, below: 1, results: new Map() });
    return index;
  }
}
