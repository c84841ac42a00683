/** What the server and those who look for it agree on without being told. */

/** Where a server listens, and where clients look for it. 7464 spells RING on a telephone. */
export const DEFAULT_ADDRESS = 'tcp://127.0.0.1:7464';

/** The same for a server and clients that speak WebSocket. */
export const DEFAULT_WEBSOCKET_ADDRESS = 'ws://127.0.0.1:7464';

/** Most shards of a server: so many threads are more than machines have cores. */
export const MAX_SHARDS = 256;

/** What a shard's log may have before a snapshot takes its place. Unit: bytes. */
export const DEFAULT_MAX_LOG_BYTES = 1024 ** 3;

/** The least that it may be set to: a segment takes a quarter of it. Unit: bytes. */
export const MAX_LOG_BYTES_MIN = 1024 ** 2;
