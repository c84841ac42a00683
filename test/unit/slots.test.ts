/** Slots of keys: the check values that are published for the checksum and for Redis Cluster, and how shards share them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc16, divideSlots, SLOTS, slotOf } from '../../core/slots.ts';
import { ascii } from '../support/bytes.ts';

describe('slots of keys', () => {
  test('the checksum is CRC-16/XMODEM', () => {
    expect(crc16(ascii('123456789'))).toBe(0x31c3);
    expect(crc16(new Uint8Array())).toBe(0);
  });

  test('the checksum is what dividing bit by bit gives', () => {
    const bitByBit = (bytes: Uint8Array): number => {
      let remainder = 0;
      for (const byte of bytes) {
        for (let bit = 7; bit >= 0; bit--) {
          const carries = ((remainder >>> 15) ^ (byte >>> bit)) & 1;
          remainder = ((remainder << 1) & 0xffff) ^ (carries * 0x1021);
        }
      }
      return remainder;
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => crc16(bytes) === bitByBit(bytes)));
  });

  test.each([
    ['foo', 12_182],
    ['bar', 5061],
    ['hello', 866],
    ['somekey', 11_058],
    ['foo{hash_tag}', 2515],
    ['bar{hash_tag}', 2515],
    ['', 0],
  ])('%j has the slot that CLUSTER KEYSLOT gives', (key, slot) => {
    expect(slotOf(ascii(key))).toBe(slot);
  });

  test.each([
    ['{user1000}.following', 'user1000'],
    ['{user1000}.followers', 'user1000'],
    // Nothing between the first pair: the whole key counts, whatever comes later.
    ['foo{}{bar}', undefined],
    // From the first opening to the first closing behind it.
    ['foo{{bar}}zap', '{bar'],
    ['foo{bar}{zap}', 'bar'],
    ['}foo{bar}', 'bar'],
    // No pair.
    ['foo{bar', undefined],
    ['foo}bar{', undefined],
    ['{', undefined],
    ['{}', undefined],
  ])('of %j counts %j', (key, counting) => {
    expect(slotOf(ascii(key))).toBe(crc16(ascii(counting ?? key)) % SLOTS);
  });

  test('a view on a larger buffer counts by itself', () => {
    const bytes = ascii('{xfoo}x');
    expect(slotOf(bytes.subarray(2, 5))).toBe(12_182);
  });
});

describe('slots of shards', () => {
  test.each([1, 2, 3, 4, 7, 1000, SLOTS])('%i shards have them all, evenly and in order', (shards) => {
    const ranges = divideSlots(shards);
    expect(ranges.length).toBe(shards);
    expect(ranges[0]!.first).toBe(0);
    expect(ranges.at(-1)!.last).toBe(SLOTS - 1);
    ranges.slice(1).forEach(({ first }, i) => {
      expect(first).toBe(ranges[i]!.last + 1);
    });
    const sizes = ranges.map(({ first, last }) => last - first + 1);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });

  test('two shards', () => {
    expect(divideSlots(2)).toEqual([
      { first: 0, last: 8191 },
      { first: 8192, last: 16_383 },
    ]);
  });
});
