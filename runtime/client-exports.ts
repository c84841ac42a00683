/** What every entry of the client exports beside its own `connect`. */
export type { Batch } from '../core/client/batch.ts';
export type { Client } from '../core/client/client.ts';
export { RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../core/client/dial.ts';
export * from '../core/client/errors.ts';
export { type CallOptions, DEFAULT_SCAN_COUNT, type ScanOptions } from '../core/client/methods.ts';
export type { ServerHello, SetOptions } from '../core/client/operations.ts';
export {
  type ClientSettings,
  type ClientState,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_PENDING_BYTES_MAX,
  DEFAULT_TIMEOUT_MS,
} from '../core/client/settings.ts';
export type { Key } from '../core/client/values.ts';
export { ErrorCode } from '../core/protocol.ts';
