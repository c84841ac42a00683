/**
 * Any bytes as payload: an error or a reply, never a crash, never a wrong neighbour's data. Random bytes, random
 * MessagePack and right payloads with bits flipped, bytes cut, put in and repeated, and lengths that lie. Several payloads
 * go to the same two engines, so that damage done by one shows in those after it.
 */
import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../core/engine/engine.ts';
import { readError } from '../../core/msgpack.ts';
import { Op } from '../../core/protocol.ts';
import { array, ascii, concat, encode, fromHex, hex, nested } from '../support/bytes.ts';
import { elements, execute, oracle, results, subject } from '../support/engines.ts';
import { hashSeeds, operations, payloadOf } from '../support/operations.ts';

const NOW = 1_700_000_000_000;

/** Keys that no payload names unless by a chance that is looked for, of every size of record, with their values. */
const neighbours = [1, 10, 40, 200, 1000, 60_000].map((length, i) => {
  const key = ascii(`~neighbour-${i}~`.padEnd(length + 13, '~'));
  return { key, value: encode(`value ${i} `.repeat(length)) };
});

/** A payload that is right, and what is done to it; positions are parts of its length. */
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: position, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('put' as const), at: position, byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('insert' as const), at: position, bytes: fc.uint8Array({ maxLength: 6 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: position, length: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant('truncate' as const), at: position }),
  fc.record({ kind: fc.constant('repeat' as const), at: position, length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    kind: fc.constant('lie' as const),
    at: position,
    header: fc.constantFrom(...['c6', 'db', 'c9', 'dd', 'df'].map(fromHex)),
    length: fc.constantFrom(
      ...['00000000', '00000001', '0000ffff', '00100000', '7fffffff', '80000000', 'fffffffe', 'ffffffff'].map(fromHex),
    ),
  }),
  fc.record({ kind: fc.constant('deepen' as const), at: position, depth: fc.integer({ min: 1, max: 40 }) }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(payload: Uint8Array, change: Mutation): Uint8Array {
  const at = Math.floor(change.at * payload.length);
  const [before, after] = [payload.slice(0, at), payload.slice(at)];
  switch (change.kind) {
    case 'flip':
      return concat(
        before,
        after.subarray(0, 1).map((byte) => byte ^ (1 << change.bit)),
        after.subarray(1),
      );
    case 'put':
      return concat(before, Uint8Array.of(change.byte), after.subarray(1));
    case 'insert':
      return concat(before, change.bytes, after);
    case 'cut':
      return concat(before, after.subarray(change.length));
    case 'truncate':
      return before;
    case 'repeat':
      return concat(before, after.subarray(0, change.length), after);
    case 'lie':
      return concat(before, change.header, change.length, after);
    case 'deepen':
      return concat(before, nested(change.depth, after));
  }
}

const right = fc
  .tuple(fc.array(operations(8), { maxLength: 8 }), fc.nat(2))
  .map(([parts, header]) => ({ payload: payloadOf(parts, header), scans: parts.some(({ scans }) => scans) }));

const mutated = fc
  .tuple(right, fc.array(mutation, { minLength: 1, maxLength: 4 }))
  .map(([{ payload }, changes]) => changes.reduce(mutate, payload));

/** Bytes that are likelier to be MessagePack than any bytes are: many short containers, strings and operation codes. */
const likely = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0x90, max: 0x95 }) },
    { weight: 4, arbitrary: fc.integer({ min: 0x00, max: 0x12 }) },
    { weight: 3, arbitrary: fc.integer({ min: 0xa0, max: 0xa3 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0xc0, max: 0xdf }) },
    { weight: 1, arbitrary: fc.nat(255) },
  ),
  { maxLength: 60, size: 'max' },
);

const payloads = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200, size: 'max' }) },
  { weight: 2, arbitrary: likely.map((bytes) => Uint8Array.from(bytes)) },
  { weight: 1, arbitrary: likely.map((bytes) => concat(fromHex('93'), Uint8Array.from(bytes))) },
  { weight: 5, arbitrary: mutated },
  { weight: 1, arbitrary: right.map(({ payload }) => payload) },
);

describe('any bytes', () => {
  test('an error or a reply, the same from both engines, and no harm to what is not named', () => {
    const seen = { readable: 0, unreadable: 0 };
    const property = fc.property(
      fc.array(payloads, { minLength: 1, maxLength: 40, size: 'max' }),
      hashSeeds,
      (history, seed) => {
        const engines = [oracle({ redo: true, seed }), subject({ redo: true, seed })] as const;
        for (const engine of engines) putNeighbours(engine);
        for (const payload of history) {
          const [a, b] = engines.map((engine) => execute(engine, payload, NOW)) as [Outcome, Outcome];
          seen[a.readable ? 'readable' : 'unreadable']++;
          expect(b.readable, hex(payload)).toBe(a.readable);
          expect(hex(b.redo)).toBe(hex(a.redo));
          const scanned = compareReplies(payload, a.reply, b.reply, a.readable);
          for (const { reply } of scanned ? [a, b] : [a]) expectWellFormed(reply, a.readable);
          if (a.redo.length > 0) expect(elements(a.redo).length).toBeGreaterThan(0);
          for (const engine of engines) expectNeighbours(engine, payload);
        }
      },
    );
    fc.assert(property, { numRuns: 150 });
    // The payloads are of both kinds, or else they would test one thing only.
    expect(seen.readable).toBeGreaterThan(100);
    expect(seen.unreadable).toBeGreaterThan(100);
  });

  test('a payload cut off anywhere can not be read, and changes nothing', () => {
    const property = fc.property(right, position, hashSeeds, ({ payload }, at, seed) => {
      const cut = payload.slice(0, Math.floor(at * payload.length));
      for (const create of [oracle, subject]) {
        const engine = create({ seed });
        putNeighbours(engine);
        const { readable, reply } = execute(engine, cut, NOW);
        expect(readable, hex(cut)).toBe(false);
        expect(readError(reply, 0, reply.length)?.code).toBe('FRAME');
        expect(results(engine, [encode([Op.COUNT])], NOW)).toEqual([encode(neighbours.length)]);
      }
    });
    fc.assert(property, { numRuns: 150 });
  });

  test('a payload is read to its end and not beyond, whatever lies around it', () => {
    const property = fc.property(
      payloads,
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 64 }),
      hashSeeds,
      (payload, before, after, seed) => {
        for (const create of [oracle, subject]) {
          const alone = execute(create({ seed }), payload, NOW);
          const engine = create({ seed });
          const offset = engine.reserveInput(before.length + payload.length + after.length);
          engine.memory.set(concat(before, payload, after), offset);
          const readable = engine.execute(offset + before.length, payload.length, NOW);
          const output = engine.memory.slice(engine.outputOffset, engine.outputOffset + engine.outputBytes);
          expect(readable).toBe(alone.readable);
          expect(hex(output.subarray(5))).toBe(hex(alone.reply));
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});

type Outcome = ReturnType<typeof execute>;

function putNeighbours(engine: Engine): void {
  const sets = neighbours.map(({ key, value }) => array([encode(Op.SET), encode(key), value]));
  expect(results(engine, sets, NOW).map(hex)).toEqual(sets.map(() => 'c3'));
}

/** Every neighbour still has its value, but for those that the payload may have meant. */
function expectNeighbours(engine: Engine, payload: Uint8Array): void {
  const gets = neighbours.map(({ key }) => encode([Op.GET, key]));
  const answers = results(engine, gets, NOW);
  const cleared = clears(payload);
  const isLost = neighbours.some(({ key, value }, i) => {
    const isNamed = cleared || Buffer.from(payload).includes(Buffer.from(key));
    if (!isNamed) expect(Buffer.compare(answers[i]!, value), `neighbour ${i} after ${hex(payload)}`).toBe(0);
    return isNamed;
  });
  if (isLost) putNeighbours(engine);
}

/** Whether one of the payload's operations may be CLEAR: its code, in any encoding, is the last byte of an array's one element. */
function clears(payload: Uint8Array): boolean {
  try {
    return elements(payload).some((operation) => operation.at(-1) === Op.CLEAR);
  } catch {
    return false;
  }
}

/** Compares replies byte for byte, but for the results of SCAN. Returns whether there were any. */
function compareReplies(payload: Uint8Array, a: Uint8Array, b: Uint8Array, readable: boolean): boolean {
  if (Buffer.compare(a, b) === 0) return false;
  expect(readable, `${hex(a)} and ${hex(b)} for ${hex(payload)}`).toBe(true);
  const [asked, fromA, fromB] = [elements(payload), elements(a), elements(b)];
  expect(fromB.length).toBe(fromA.length);
  fromA.forEach((result, i) => {
    const isPage = (bytes: Uint8Array): boolean => bytes[0] === 0x92;
    const scans = isPage(result) && isPage(fromB[i]!) && mayBeScan(asked[i]!);
    if (!scans) expect(hex(fromB[i]!), `result ${i} of ${hex(payload)}`).toBe(hex(result));
  });
  return true;
}

function mayBeScan(operation: Uint8Array): boolean {
  return operation.subarray(1, 14).includes(Op.SCAN);
}

/** Takes whatever users may store, be it a timestamp that is none or a map whose keys are arrays. */
const extensions = new ExtensionCodec();
extensions.register({ type: -1, encode: () => null, decode: (bytes) => bytes });
const decoder = new Decoder({
  extensionCodec: extensions,
  useBigInt64: true,
  rawStrings: true,
  mapKeyConverter: () => 'key',
});

/** Both the project's reader and another library can read the reply to its end. */
function expectWellFormed(reply: Uint8Array, readable: boolean): void {
  if (readable) elements(reply);
  else expect(readError(reply, 0, reply.length)).toMatchObject({ code: 'FRAME' });
  expect(() => decoder.decode(reply), hex(reply)).not.toThrow();
}
