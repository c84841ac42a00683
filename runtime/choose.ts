/** The one place that asks which runtime this is. */
import { createBunRuntime } from './bun.ts';
import { createDenoRuntime } from './deno.ts';
import { createNodeRuntime } from './node.ts';
import type { Runtime } from './runtime.ts';

/** The runtime that runs this. Bun and Deno are asked for first, since both pass themselves off as Node as well. */
export function currentRuntime(): Runtime {
  if ('Bun' in globalThis) return createBunRuntime();
  if ('Deno' in globalThis) return createDenoRuntime();
  return createNodeRuntime();
}
