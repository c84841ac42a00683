/** Bun: its own version number, otherwise as Node. */
import { createNodeRuntime } from './node.ts';
import type { Runtime } from './runtime.ts';

export function createBunRuntime(): Runtime {
  return { ...createNodeRuntime(), name: 'bun', version: Bun.version };
}
