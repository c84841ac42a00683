import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Backlog, LONG_BYTES } from '../../transports/backlog.ts';
import type { Lease } from '../../transports/transport.ts';

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

/** Leases of bytes in a memory that moves its views when it grows, as an engine's does. */
class Lender implements Lease {
  readonly #memory = new WebAssembly.Memory({ initial: 4 });
  readers = 0;

  get memory(): Uint8Array {
    return new Uint8Array(this.#memory.buffer);
  }

  grow(): void {
    this.#memory.grow(1);
  }

  retain(): void {
    this.readers++;
  }

  release(): void {
    this.readers--;
  }
}

it('leaves long leased bytes where they lie, in order with what was copied, and lets go of each once it was taken', () => {
  const step = fc.record({
    length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: LONG_BYTES - 1, max: LONG_BYTES + 1 })),
    isLeased: fc.boolean(),
    taken: fc.integer({ min: 0, max: 2 * LONG_BYTES }),
    grows: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, isHandedOver) => {
      const lender = new Lender();
      lender.memory.forEach((_, i, memory) => {
        memory[i] = i % 251;
      });
      const backlog = new Backlog();
      let waiting = Buffer.alloc(0);
      let longLeased = 0;
      for (const { length, isLeased, taken, grows } of steps) {
        const start = (length * 7 + taken) % LONG_BYTES;
        const bytes = lender.memory.subarray(start, start + length);
        waiting = Buffer.concat([waiting, bytes]);
        backlog.append(bytes, isLeased ? lender : undefined);
        if (isLeased && length >= LONG_BYTES) longLeased++;
        if (grows) lender.grow();
        const whole = isHandedOver ? backlog.takeLeased() : undefined;
        if (whole !== undefined) {
          const { offset, length } = whole;
          expect(Buffer.compare(lender.memory.subarray(offset, offset + length), waiting.subarray(0, length))).toBe(0);
          waiting = waiting.subarray(length);
          whole.lease.release();
        } else if (backlog.bytes > 0) {
          const first = backlog.first();
          const count = Math.min(first.length, taken);
          expect(Buffer.compare(first.subarray(0, count), waiting.subarray(0, count))).toBe(0);
          waiting = waiting.subarray(count);
          backlog.consume(count);
        }
        expect(backlog.bytes).toBe(waiting.length);
        expect(lender.readers).toBeLessThanOrEqual(longLeased);
        if (backlog.bytes === 0) expect(lender.readers).toBe(0);
      }
      if (isHandedOver) backlog.clear();
      while (backlog.bytes > 0) {
        const first = backlog.first();
        expect(Buffer.compare(first, waiting.subarray(0, first.length))).toBe(0);
        waiting = waiting.subarray(first.length);
        backlog.consume(first.length);
      }
      expect(lender.readers).toBe(0);
    }),
  );
});
