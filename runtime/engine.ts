/** Making an engine by its name. */
import type { Engine, EngineName, EngineOptions } from '../core/engine/engine.ts';
import { adviseHugePages } from './huge-pages.ts';

export type { Engine, EngineName };

/**
 * An engine for a thread that does little else: the memory of `swiss` is in huge pages, if the kernel lets it.
 *
 * Only the engine that is used is loaded: compiling the other's WebAssembly would be felt at the start.
 */
export async function createEngine(name: EngineName, options: EngineOptions = {}): Promise<Engine> {
  if (name === 'map') {
    const { createMapEngine } = await import('../core/engine/map.ts');
    return createMapEngine(options);
  }
  const { createSwissEngine } = await import('../core/engine/swiss.ts');
  const engine = createSwissEngine(options);
  adviseHugePages(engine.memory);
  return engine;
}
