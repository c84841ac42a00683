/** The engine `swiss`: what every engine does, and what is its own. */
import { describe, expect, test } from 'vitest';
import { MAX_ENGINE_BYTES } from '../../core/engine/engine.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import { engineSemantics } from './engine-semantics.ts';

engineSemantics('swiss', createSwissEngine);
