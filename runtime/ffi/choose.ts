/** The one place that chooses how foreign functions are called. */
import { versions } from 'node:process';
import { createBunFfi } from './bun.ts';
import { createDenoFfi } from './deno.ts';
import type { Ffi } from './ffi.ts';
import { createNodeFfi } from './node.ts';

/** What calls foreign functions on the runtime that runs this. Throws `FfiError` when nothing does. */
export function createFfi(): Ffi {
  if (versions.bun !== undefined) return createBunFfi();
  if (versions.deno !== undefined) return createDenoFfi();
  return createNodeFfi();
}
