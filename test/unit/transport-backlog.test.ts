import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Backlog } from '../../transports/backlog.ts';

it('gives the bytes back in order, however they are appended and taken', () => {
  // A number above zero appends so many bytes; one below takes up to so many of what lies together.
  const steps = fc.array(fc.oneof(fc.integer({ min: -20_000, max: 20_000 }), fc.integer({ min: -50, max: 50 })));
  fc.assert(
    fc.property(steps, (counts) => {
      const backlog = new Backlog();
      let appended = 0;
      let taken = 0;
      const take = (most: number) => {
        const bytes = backlog.first();
        const count = Math.min(bytes.length, most);
        for (let i = 0; i < count; i++) if (bytes[i] !== ((taken + i) & 0xff)) throw new Error(`byte ${taken + i}`);
        backlog.consume(count);
        taken += count;
      };
      for (const count of counts) {
        if (count > 0) {
          const bytes = Uint8Array.from({ length: count }, (_, i) => (appended + i) & 0xff);
          backlog.append(bytes);
          bytes.fill(0);
          appended += count;
        } else if (backlog.bytes > 0) take(-count);
        expect(backlog.bytes).toBe(appended - taken);
      }
      while (backlog.bytes > 0) take(Number.POSITIVE_INFINITY);
      expect(taken).toBe(appended);
    }),
  );
});

it('leaves what it gave unchanged while more is appended', () => {
  const backlog = new Backlog();
  backlog.append(Uint8Array.of(1));
  backlog.append(Uint8Array.of(2, 3));
  const first = backlog.first();
  backlog.append(Uint8Array.of(4));
  expect([...first]).toEqual([1]);
  backlog.consume(1);
  const next = backlog.first();
  backlog.append(Uint8Array.of(5));
  expect([...next]).toEqual([2, 3, 4]);
});
