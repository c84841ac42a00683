/** What may be done by whom: every operation of the protocol, alone and inside batches. */
import { describe, expect, test } from 'vitest';
import { Access } from '../../../core/engine/engine.ts';
import { MAX_FRAME_OPERATIONS, Op, type OpName } from '../../../core/protocol.ts';
import { array, encode, fromHex, hex, wireError } from '../../support/bytes.ts';
import { dump, type EngineFactory, elements, execute, hostOf, results } from '../../support/engines.ts';

const NOT_AUTHENTICATED = wireError('AUTH', 'not authenticated');
const UNWRITABLE = wireError('LOG', 'not done: the log has failed');
const READ_ONLY = wireError('AUTH', 'this token may only read');

/** For each operation an example that succeeds, and what it needs. */
const examples: Readonly<
  Record<OpName, { readonly args: readonly unknown[]; readonly needs: 'nothing' | 'read' | 'write' }>
> = {
  PING: { args: ['here'], needs: 'read' },
  GET: { args: ['k'], needs: 'read' },
  SET: { args: ['k', 'new'], needs: 'write' },
  DEL: { args: ['k'], needs: 'write' },
  HAS: { args: ['k'], needs: 'read' },
  ADD: { args: ['n', 1], needs: 'write' },
  CAS: { args: ['k', 'old', 'new'], needs: 'write' },
  EXPIRE: { args: ['k', 1000], needs: 'write' },
  TTL: { args: ['k'], needs: 'read' },
  PERSIST: { args: ['t'], needs: 'write' },
  TAKE: { args: ['k'], needs: 'write' },
  SCAN: { args: [0, 10], needs: 'read' },
  COUNT: { args: [], needs: 'read' },
  CLEAR: { args: [], needs: 'write' },
  HELLO: { args: [{ version: 1 }], needs: 'nothing' },
  AUTH: { args: ['token'], needs: 'nothing' },
  INFO: { args: [], needs: 'read' },
};

const permits = {
  nothing: { [Access.FULL]: true, [Access.READ]: true, [Access.NONE]: true },
  read: { [Access.FULL]: true, [Access.READ]: true, [Access.NONE]: false },
  write: { [Access.FULL]: true, [Access.READ]: false, [Access.NONE]: false },
};

export function accessSemantics(create: EngineFactory): void {
  const filled = () => {
    const engine = create({ redo: true, seed: new Uint8Array(16) });
    engine.host = hostOf({ serverOperation: () => encode('served') });
    results(engine, [encode([Op.SET, 'k', 'old']), encode([Op.SET, 'n', 1]), encode([Op.SET, 't', 1, 5000])], 0);
    return engine;
  };

  describe('access', () => {
    const table = (Object.keys(examples) as OpName[]).flatMap((name) =>
      Object.values(Access).map((access) => ({ name, access, isPermitted: permits[examples[name].needs][access] })),
    );

    test.each(table)('$name with access $access: $isPermitted', ({ name, access, isPermitted }) => {
      const bytes = encode([Op[name], ...examples[name].args]);
      const expected = execute(filled(), array([bytes]), 0);
      const refusal = encode(access === Access.NONE ? NOT_AUTHENTICATED : READ_ONLY);
      // Alone, and between others, on either side of the windows and chunks that engines cut a batch into.
      for (const size of [1, 3, 300, 5000]) {
        const at = Math.floor(size / 2);
        const padding = encode([Op.HELLO, {}]);
        const bound = filled();
        bound.access = access;
        const before = dumpOf(bound);
        const payload = array(Array.from({ length: size }, (_, i) => (i === at ? bytes : padding)));
        const { readable, reply, redo } = execute(bound, payload, 0);
        const result = elements(reply)[at]!;
        expect(readable).toBe(true);
        expect(hex(result)).toBe(hex(isPermitted ? elements(expected.reply)[0]! : refusal));
        expect(hex(redo)).toBe(isPermitted ? hex(expected.redo) : '');
        if (!isPermitted) expect(dumpOf(bound)).toEqual(before);
      }
    });

    test.each(
      Object.values(Access).flatMap((access) => (Object.keys(examples) as OpName[]).map((name) => ({ name, access }))),
    )('$name with access $access while nothing can be made durable', ({ name, access }) => {
      const bytes = encode([Op[name], ...examples[name].args]);
      const [writable, unwritable] = [filled(), filled()];
      writable.access = access;
      unwritable.access = access;
      unwritable.isWritable = false;
      const expected = execute(writable, array([bytes]), 0);
      const { reply, redo } = execute(unwritable, array([bytes]), 0);
      const isRefused = access === Access.FULL && examples[name].needs === 'write';
      expect(hex(elements(reply)[0]!)).toBe(hex(isRefused ? encode(UNWRITABLE) : elements(expected.reply)[0]!));
      expect(redo.length).toBe(0);
    });

    test('writes are done again once they can be made durable', () => {
      const engine = filled();
      engine.isWritable = false;
      engine.isWritable = true;
      expect(hex(results(engine, [encode([Op.ADD, 'n', 1])], 0)[0]!)).toBe('02');
    });

    test('without any, what is no operation at all is answered as the rest', () => {
      const engine = filled();
      engine.access = Access.NONE;
      const odd = ['05', '90', '91 63', 'c0', '91 a1 30', '92 01 a0', '92 cd 0020 01'].map(fromHex);
      const answers = results(engine, odd, 0).map(hex);
      expect(answers.slice(0, -1)).toEqual(odd.slice(0, -1).map(() => hex(encode(NOT_AUTHENTICATED))));
      // HELLO in another encoding of its code is HELLO.
      expect(answers.at(-1)).toBe(hex(encode('served')));
      expect(execute(engine, fromHex('c1'), 0).readable).toBe(false);
    });

    test('what is granted or taken by one operation holds from the next on, also in the same frame', () => {
      const engine = filled();
      const grants = [Access.NONE, Access.FULL, Access.READ, Access.FULL, Access.NONE];
      let next = 0;
      engine.host = hostOf({
        serverOperation: () => {
          engine.access = grants[next++]!;
          return encode(true);
        },
      });
      const auth = encode([Op.AUTH, 'x']);
      const write = encode([Op.ADD, 'n', 1]);
      const answers = results(
        engine,
        grants.flatMap(() => [auth, write]),
        0,
      ).filter((_, i) => i % 2 === 1);
      const expected = [NOT_AUTHENTICATED, 2, READ_ONLY, 3, NOT_AUTHENTICATED];
      expect(answers.map(hex)).toEqual(expected.map((one) => hex(encode(one))));
    });

    test('a replay is bound by none', () => {
      const engine = filled();
      engine.access = Access.NONE;
      engine.isWritable = false;
      const payload = array([encode([Op.SET, 'k', 'replayed'])]);
      const offset = engine.reserveInput(payload.length);
      engine.memory.set(payload, offset);
      expect(engine.replay(offset, payload.length, 0)).toBe(true);
      engine.clearOutput();
      expect(engine.access).toBe(Access.NONE);
      expect(engine.isWritable).toBe(false);
      engine.access = Access.FULL;
      expect(hex(results(engine, [encode([Op.GET, 'k'])], 0)[0]!)).toBe(hex(encode('replayed')));
    });
  });

  describe('limits that are lower than the protocol', () => {
    const limits = { keyBytesMax: 8, valueBytesMax: 20, depthMax: 2, operationsMax: 4, scanCountMax: 3 };
    const count = (engine: ReturnType<EngineFactory>) => {
      const { refusedKeys, refusedValues, refusedNesting, refusedOperations } = engine.stats();
      return { refusedKeys, refusedValues, refusedNesting, refusedOperations };
    };

    test('what is as long as allowed is taken, what is longer is refused by name, and counted', () => {
      const engine = create({ limits, redo: true });
      expect(engine.limits).toEqual(limits);
      const longest = 'x'.repeat(19);
      const key = wireError('KEY', 'key must have 1 to 8 bytes');
      const value = wireError('SIZE', 'value must have at most 20 bytes');
      const answers = [
        ...results(engine, [encode([Op.SET, '12345678', longest]), encode([Op.SET, '123456789', 1])], 0),
        ...results(engine, [encode([Op.SET, 'k', `${longest}x`]), encode([Op.CAS, 'k', null, `${longest}x`])], 0),
        ...results(engine, [encode([Op.CAS, 'k', null, longest]), encode([Op.GET, '123456789'])], 0),
        ...results(engine, [encode([Op.GET, '']), encode([Op.SET, 'k', `${longest}x`, 0])], 0),
      ];
      expect(answers.map(hex)).toEqual([true, key, value, value, true, key, key, value].map((one) => hex(encode(one))));
      expect(count(engine)).toEqual({ refusedKeys: 2, refusedValues: 3, refusedNesting: 0, refusedOperations: 0 });
    });

    test('a payload that nests deeper or holds more is refused as a whole', () => {
      const engine = create({ limits, redo: true });
      const pings = (n: number): Uint8Array => array(Array.from({ length: n }, () => encode([Op.PING])));
      expect(execute(engine, pings(4), 0).readable).toBe(true);
      const many = execute(engine, pings(5), 0);
      expect(hex(many.reply)).toBe(hex(encode(wireError('FRAME', 'more than 4 operations in one frame'))));
      expect(execute(engine, array([encode([Op.SET, 'k', [[1]]])]), 0).readable).toBe(true);
      const deep = execute(engine, array([encode([Op.SET, 'k', [[[1]]]])]), 0);
      expect(hex(deep.reply)).toBe(hex(encode(wireError('FRAME', 'nested more than 2 deep'))));
      expect([many.readable, deep.readable]).toEqual([false, false]);
      expect(count(engine)).toEqual({ refusedKeys: 0, refusedValues: 0, refusedNesting: 1, refusedOperations: 1 });
    });

    test('a replay may have more operations than a frame: those of the frame, and the keys that gave way', () => {
      const engine = create();
      const count = encode([Op.COUNT]);
      const payload = new Uint8Array(5 + (MAX_FRAME_OPERATIONS + 1) * count.length);
      payload[0] = 0xdd;
      new DataView(payload.buffer).setUint32(1, MAX_FRAME_OPERATIONS + 1);
      for (let at = 5; at < payload.length; at += count.length) payload.set(count, at);
      const offset = engine.reserveInput(payload.length);
      engine.memory.set(payload, offset);
      expect(engine.execute(offset, payload.length, 0)).toBe(false);
      expect(engine.replay(offset, payload.length, 0)).toBe(true);
    });

    test('what was stored under higher limits is replayed and answered', () => {
      const source = create({ redo: true });
      const long = 'a key longer than eight';
      const { redo } = execute(
        source,
        array([encode([Op.SET, long, [[[['x'.repeat(50)]]]]]), encode([Op.ADD, 'n', 1])]),
        5,
      );
      const engine = create({ limits: { ...limits, operationsMax: 1 } });
      const offset = engine.reserveInput(redo.length);
      engine.memory.set(redo, offset);
      expect(engine.replay(offset, redo.length, 5)).toBe(true);
      engine.clearOutput();
      expect(engine.stats().keys).toBe(2);
      expect(count(engine)).toEqual({ refusedKeys: 0, refusedValues: 0, refusedNesting: 0, refusedOperations: 0 });
    });

    test('SCAN looks at no more than so many keys', () => {
      const engine = create({ limits: { scanCountMax: 1 } });
      const sets = Array.from({ length: 500 }, (_, i) => encode([Op.SET, `key-${i}`, i]));
      results(engine, sets, 0);
      const scan = elements(execute(engine, array([encode([Op.SCAN, 0, 10_000])]), 0).reply)[0]!;
      // As few as come together, and never all of them.
      expect(scan.length).toBeLessThan(60 * 10);
      expect(hex(scan.subarray(0, 2))).not.toBe('9200');
    });

    test('none is above the protocol, or no number', () => {
      for (const wrong of [{ keyBytesMax: 65_536 }, { depthMax: 33 }, { operationsMax: 0 }, { valueBytesMax: 1.5 }]) {
        expect(() => create({ limits: wrong }), JSON.stringify(wrong)).toThrow(/it must be an integer from/);
      }
      // HELLO's map is one deep: nobody could say it.
      expect(() => create({ limits: { depthMax: 0 } })).toThrow(/depthMax is 0; it must be an integer from 1 to 32/);
    });
  });
}

/** All that it holds; nobody is asked whether that may be seen. */
function dumpOf(engine: ReturnType<EngineFactory>): string[] {
  const { access } = engine;
  engine.access = Access.FULL;
  const state = dump(engine, 0);
  engine.access = access;
  return state;
}
