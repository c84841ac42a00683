/** What the loopback device carries: all connections of this machine together, headers included. */
import { existsSync, readFileSync } from 'node:fs';

/** Linux counts what was sent over it, which is what is received. */
const BYTES_FILE = '/sys/class/net/lo/statistics/tx_bytes';

/** Why it can't be told here; undefined where it can. */
export function whyNoLoopback(): string | undefined {
  return existsSync(BYTES_FILE) ? undefined : `it needs Linux, with ${BYTES_FILE}`;
}

/** Bytes since the system's start. Throws an `Error` where it can't be told. */
export function loopbackBytes(): number {
  return Number(readFileSync(BYTES_FILE, 'utf8'));
}
