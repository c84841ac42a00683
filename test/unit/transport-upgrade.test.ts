/** Which pages may open a WebSocket. */
import { expect, test } from 'vitest';
import { isOriginAllowed } from '../../transports/upgrade.ts';

const cases: [origin: string | null, host: string | null, allowed: boolean][] = [
  // Who is no page sends no origin.
  [null, 'db.example', true],
  ['', '', true],
  [null, null, true],
  // This machine, with any scheme and port.
  ['http://localhost', 'db.example', true],
  ['https://localhost:3000', '127.0.0.1:7464', true],
  ['http://127.0.0.1:8080', 'localhost:7464', true],
  ['http://[::1]:8080', null, true],
  // The server's own host, with any scheme and port.
  ['https://db.example', 'db.example:7464', true],
  ['http://DB.example:80', 'db.EXAMPLE', true],
  ['http://192.0.2.1', '192.0.2.1:7464', true],
  ['http://[2001:db8::1]', '[2001:db8:0::1]:7464', true],
  // All others.
  ['http://elsewhere.example', 'db.example', false],
  ['http://elsewhere.example', '127.0.0.1:7464', false],
  ['http://db.example', '', false],
  ['http://db.example', null, false],
  ['http://localhost.elsewhere.example', 'db.example', false],
  ['http://127.0.0.1.elsewhere.example', 'db.example', false],
  ['http://sub.db.example', 'db.example', false],
  // Files, pages in a sandbox, and what is no URL.
  ['null', 'null', false],
  ['file://', '', false],
  ['localhost', 'localhost', false],
];

test.each(cases)('origin %j, host %j: %j', (origin, host, allowed) => {
  expect(isOriginAllowed(origin, host)).toBe(allowed);
});
