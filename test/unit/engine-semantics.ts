/**
 * What every engine answers, byte for byte: one suite, called for each engine. Requests and replies are encoded by
 * `@msgpack/msgpack` or written out in hexadecimal, never by the code under test.
 */
import { describe, expect, test } from 'vitest';
import type { EngineFactory } from '../support/engines.ts';
import { accessSemantics } from './semantics/access.ts';
import { encodingsSemantics } from './semantics/encodings.ts';
import { expirySemantics } from './semantics/expiry.ts';
import { memorySemantics } from './semantics/memory.ts';
import { operationsSemantics } from './semantics/operations.ts';
import { redoSemantics } from './semantics/redo.ts';
import { scanSemantics } from './semantics/scan.ts';
import { slotsSemantics } from './semantics/slots.ts';

export function engineSemantics(name: string, create: EngineFactory): void {
  describe(`engine ${name}`, () => {
    test('has its name', () => {
      expect(create().name).toBe(name);
    });
    operationsSemantics(create);
    encodingsSemantics(create);
    expirySemantics(create);
    scanSemantics(create);
    slotsSemantics(create);
    redoSemantics(create);
    memorySemantics(create);
    accessSemantics(create);
  });
}
