/** The stores that people use, by the names that flags and reports call them. */
export const PEER_NAMES = ['redis', 'valkey', 'memcached'] as const;

export type PeerName = (typeof PEER_NAMES)[number];
