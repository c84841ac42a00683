/** The redo bytes: what they hold, and that they rebuild the state. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../core/engine/engine.ts';
import { Op } from '../../../core/protocol.ts';
import { array, concat, encode, fromHex, hex } from '../../support/bytes.ts';
import { dump, type EngineFactory, execute, expectReply, redoOf } from '../../support/engines.ts';

const { PING, GET, SET, DEL, HAS, ADD, CAS, EXPIRE, TTL, PERSIST, TAKE, SCAN, COUNT, CLEAR } = Op;
const INT64_MAX = 2n ** 63n - 1n;

export function redoSemantics(create: EngineFactory): void {
  describe('redo', () => {
    /** Operations of one frame on an engine that has a = 1, n = 5 and e = 1 with a ttl, and whether each changes it. */
    const changes: readonly (readonly [operation: unknown, changes: boolean])[] = [
      [[PING, 1], false],
      [[GET, 'a'], false],
      [[HAS, 'a'], false],
      [[TTL, 'e'], false],
      [[COUNT], false],
      [[SCAN, 0, 10], false],
      [[SET, 'a', 1], true],
      [[SET, 'a', 2, null, 1], false],
      [[SET, 'zz', 2, null, 2], false],
      [[SET, 'a', null], false],
      [[ADD, 'n', 1], true],
      [[ADD, 'n', 0], true],
      [[ADD, 'n', 'x'], false],
      [[ADD, 'n', INT64_MAX], false],
      [[CAS, 'a', 7, 8], false],
      [[CAS, 'a', 1, 1], true],
      [[CAS, 'new', null, 1], true],
      [[EXPIRE, 'a', 100], true],
      [[EXPIRE, 'zz', 100], false],
      [[EXPIRE, 'zz', 0], false],
      [[EXPIRE, 'new', 0], true],
      [[PERSIST, 'e'], true],
      [[PERSIST, 'e'], false],
      [[PERSIST, 'zz'], false],
      [[TAKE, 'zz'], false],
      [[TAKE, 'e'], true],
      [[DEL, 'e'], false],
      [[DEL, 'a'], true],
      [[DEL, 'a'], false],
      [[CLEAR], true],
      [[CLEAR], true],
      [[99], false],
      [5, false],
    ];
    const prepared = (): Engine => {
      const engine = create({ redo: true });
      expectReply(engine, 0, [[SET, 'a', 1], true], [[SET, 'n', 5], true], [[SET, 'e', 1, 100], true]);
      return engine;
    };

    test('holds what changed something, in order, as it came', () => {
      const operations = changes.map(([operation]) => encode(operation));
      const changing = changes.filter(([, does]) => does).map(([operation]) => encode(operation));
      expect(hex(execute(prepared(), array(operations), 5).redo)).toBe(hex(redoOf(changing)));
    });

    test('operation by operation', () => {
      const engine = prepared();
      for (const [operation, does] of changes) {
        const bytes = encode(operation);
        const { redo } = execute(engine, array([bytes]), 5);
        expect(hex(redo), inspect(operation)).toBe(does ? hex(redoOf([bytes])) : '');
      }
    });

    test('keeps the encodings of the request', () => {
      const operation = concat(fromHex('dd 00000003 cd 0002 c6 00000001 61'), fromHex('d3 0000000000000001'));
      expect(hex(execute(create({ redo: true }), concat(fromHex('dc 0001'), operation), 0).redo)).toBe(
        hex(redoOf([operation])),
      );
    });

    test('rebuilds the state', () => {
      const engine = prepared();
      const copy = create();
      execute(copy, redoOf([encode([SET, 'a', 1]), encode([SET, 'n', 5]), encode([SET, 'e', 1, 100])]), 0);
      const { redo } = execute(engine, array(changes.slice(0, 24).map(([operation]) => encode(operation))), 5);
      expect(execute(copy, redo, engine.redoTimeMs).readable).toBe(true);
      expect(dump(copy, 5)).toEqual(dump(engine, 5));
    });

    test('an expired key counts as missing, and its time is that of the engine', () => {
      const engine = prepared();
      const take = encode([TAKE, 'e']);
      expect(execute(engine, array([take]), 100).redo.length).toBe(0);
      expect(engine.redoTimeMs).toBe(100);
      execute(engine, array([take]), 50);
      expect(engine.redoTimeMs).toBe(100);
    });

    test('is not collected unless asked for', () => {
      expect(execute(create(), array([encode([SET, 'a', 1])]), 0).redo.length).toBe(0);
    });

    test('lies in the memory, and outlives the output', () => {
      const engine = create({ redo: true });
      const operation = encode([SET, 'a', 1]);
      const payload = array([operation]);
      const offset = engine.reserveInput(payload.length);
      engine.memory.set(payload, offset);
      engine.execute(offset, payload.length, 0);
      expect(engine.redo().buffer).toBe(engine.memory.buffer);
      engine.clearOutput();
      expect(hex(engine.redo())).toBe(hex(redoOf([operation])));
    });
  });
}
