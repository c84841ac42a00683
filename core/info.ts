/** INFO of a server of several shards: made of what each of them tells. */

/** Figures by name. */
export type Info<V> = Readonly<Record<string, V>>;

/** What each shard counts for itself. */
const SUMMED = [
  'connections',
  'connectionsTotal',
  'frames',
  'turns',
  'slowTurns',
  'bytesIn',
  'bytesOut',
  'partialBytes',
  'refusedConnections',
  'refusedFrames',
  'refusedPartial',
  'refusedTokens',
  'refusedUnauthenticated',
  'cutSlowReaders',
  'cutSlowFrames',
  'cutIdle',
  'keys',
  'keysWithExpiry',
  'expired',
  'evicted',
  'usedBytes',
  'indexBytes',
  'reservedBytes',
  'limitBytes',
  'logRecords',
  'logUnsynced',
  'logWrites',
  'logSyncs',
  'logBytes',
  'logFailures',
  'logFileBytes',
  'snapshots',
  'snapshotBytes',
  'snapshotIsRunning',
  'recoveredRecords',
  'recoveredBytes',
  'tornRecords',
  'tornBytes',
  'refusedKeys',
  'refusedValues',
  'refusedNesting',
  'refusedOperations',
] as const;

/** What they do side by side. */
const LONGEST = ['uptimeMs', 'recoveryMs'] as const;

/**
 * Adds up what the shards of a server tell: counters and bytes are summed, times are those of the shard that runs, or has taken,
 * longest. What they have in common, as the server's names and the figures of the process, is taken from the first.
 */
export function addUpInfo<V>(shards: readonly Info<V>[]): Info<V> {
  const numbers = (name: string): number[] => shards.map((info) => Number(info[name] ?? 0));
  const sums = SUMMED.filter((name) => shards.some((info) => name in info)).map(
    (name) => [name, numbers(name).reduce((sum, number) => sum + number, 0)] as const,
  );
  const longest = LONGEST.filter((name) => shards.some((info) => name in info)).map(
    (name) => [name, Math.max(...numbers(name))] as const,
  );
  const figures = Object.fromEntries([...sums, ...longest]);
  // One shard that only reads is what has to be seen.
  const readOnly = shards.find((info) => info.logState === 'read-only');
  return { ...shards[0], ...(figures as Info<number> as Info<V>), ...(readOnly && { logState: readOnly.logState! }) };
}
