/** A server that can't be given another certificate listens anew for it, or goes on as it was. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Renewal } from '../../transports/tls.ts';
import type { TlsSecrets } from '../../transports/transport.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Notes who listens; the next `failures` attempts throw. */
class Server {
  readonly events: string[] = [];
  failures = 0;

  listen({ cert }: TlsSecrets, port: number): string {
    if (this.failures-- > 0) throw new Error(`no descriptor for ${cert}`);
    this.events.push(`${cert} at ${port}`);
    return cert!;
  }

  portOf(): number {
    return 7464;
  }

  stop(cert: string): void {
    this.events.push(`stop ${cert}`);
  }
}

test('another certificate takes the place of the one before, at the same port', () => {
  const server = new Server();
  const { renew, stop } = new Renewal(server, { cert: 'old' }, 0);
  renew({ cert: 'new' });
  stop();
  renew({ cert: 'late' });
  expect(server.events).toEqual(['old at 0', 'stop old', 'new at 7464', 'stop new']);
});

test('one that can not be used leaves the one before', () => {
  const server = new Server();
  const { renew } = new Renewal(server, { cert: 'old' }, 0);
  server.failures = 1;
  expect(() => renew({ cert: 'new' })).toThrow(/^no descriptor for new$/);
  expect(server.events.slice(1)).toEqual(['stop old', 'old at 7464']);
  expect(vi.getTimerCount()).toBe(0);
});

// It once listened no more from then on, and said that nothing had changed.
test('if it can not listen with that one either, it says so and tries until it can', () => {
  const server = new Server();
  const { renew, stop } = new Renewal(server, { cert: 'old' }, 0);
  server.failures = 3;
  expect(() => renew({ cert: 'new' })).toThrow('no descriptor for new; nobody can connect until it listens again');
  vi.advanceTimersByTime(1000);
  expect(server.events.slice(1)).toEqual(['stop old']);
  vi.advanceTimersByTime(1000);
  expect(server.events.slice(1)).toEqual(['stop old', 'old at 7464']);
  server.failures = 2;
  expect(() => renew({ cert: 'new' })).toThrow('nobody can connect');
  renew({ cert: 'newer' });
  server.failures = 2;
  expect(() => renew({ cert: 'newest' })).toThrow('nobody can connect');
  stop();
  vi.advanceTimersByTime(5000);
  expect(server.events.slice(3)).toEqual(['stop old', 'newer at 7464', 'stop newer']);
});
