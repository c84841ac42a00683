/** Making an engine by its name. */
import { checkEngineChoice, type Engine, type EngineName, type EngineOptions } from '../core/engine/engine.ts';

export type { Engine, EngineName };

/**
 * Rejects with `RangeError` when there is no engine of that name.
 *
 * Only the engine that is used is loaded: compiling the other's WebAssembly would be felt at the start.
 */
export async function createEngine(name: EngineName, options: EngineOptions = {}): Promise<Engine> {
  checkEngineChoice(name, options.eviction);
  if (name === 'map') {
    const { createMapEngine } = await import('../core/engine/map.ts');
    return createMapEngine(options);
  }
  const { createSwissEngine } = await import('../core/engine/swiss.ts');
  return createSwissEngine(options);
}
