/** Making an engine by its name. */
import type { Engine, EngineName, EngineOptions } from '../core/engine/engine.ts';
import { examineMemory } from './engine-memory.ts';

export type { Engine, EngineName };

/**
 * An engine whose memory was examined: see `examineMemory`.
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
  examineMemory(engine);
  return engine;
}
