/** Deno: its own version number, otherwise as Node. */
import { createNodeRuntime } from './node.ts';
import type { Runtime } from './runtime.ts';

export function createDenoRuntime(): Runtime {
  return { ...createNodeRuntime(), name: 'deno', version: Deno.version.deno };
}
