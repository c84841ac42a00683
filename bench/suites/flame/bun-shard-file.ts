/** Names the file that `bun-shard-worker.ts` writes its profile to. An environment variable: threads inherit them. */
export const PROFILE_VARIABLE = 'RINGKV_BENCH_PROFILE';
