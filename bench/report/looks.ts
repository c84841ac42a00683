/** Which look a series has: the same transport looks the same in every chart. */
import type { Dimensions } from '../results/report.ts';
import type { Look } from './model.ts';

/** In the order of the looks in `browser/looks.ts` and `page.css`. */
const NAMED = ['uring', 'bun', 'node', 'deno', 'uws', 'bun-ws', 'deno-ws', 'redis', 'valkey', 'memcached'];

/** By what serves, where that is known; else by the place among the series. */
export function lookOf({ peer, transport, runtime }: Dimensions, place: number): Look {
  for (const name of [peer, transport, runtime]) {
    const known = NAMED.indexOf(String(name));
    if (known >= 0) return known;
  }
  return place;
}
