import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../transports/address.ts';

describe('parseAddress', () => {
  it.each([
    ['tcp://127.0.0.1:7464', { kind: 'tcp', host: '127.0.0.1', port: 7464 }],
    ['tcp://localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
    ['tcp://[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
    ['tcp://[fe80::1%eth0]:1', { kind: 'tcp', host: 'fe80::1%eth0', port: 1 }],
    ['ws://127.0.0.1:7464', { kind: 'ws', host: '127.0.0.1', port: 7464 }],
    ['ws://[::ffff:127.0.0.1]:80/', { kind: 'ws', host: '::ffff:127.0.0.1', port: 80 }],
    ['tls://127.0.0.1:7464', { kind: 'tls', host: '127.0.0.1', port: 7464 }],
    ['wss://cache.example:443', { kind: 'wss', host: 'cache.example', port: 443 }],
    ['tcp://127.0.0.1:7464/', { kind: 'tcp', host: '127.0.0.1', port: 7464 }],
    ['unix:/run/ringkv.sock', { kind: 'unix', path: '/run/ringkv.sock' }],
    ['unix:///run/ringkv.sock', { kind: 'unix', path: '/run/ringkv.sock' }],
    ['unix:ringkv.sock', { kind: 'unix', path: 'ringkv.sock' }],
    ['memory:test', { kind: 'memory', name: 'test' }],
  ] as const)('reads %s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it.each([
    ['', 'it names no kind of address'],
    ['127.0.0.1:7464', 'it names no kind of address'],
    ['http://127.0.0.1:7464', 'it names no kind of address'],
    ['ws://127.0.0.1', 'after ws: comes //HOST:PORT'],
    ['ws://127.0.0.1:7464/path', 'after ws: comes //HOST:PORT'],
    ['ws://host?query:1', 'after ws: comes //HOST:PORT'],
    ['tcp:127.0.0.1:7464', 'after tcp: comes //HOST:PORT'],
    ['tcp://127.0.0.1', 'after tcp: comes //HOST:PORT'],
    ['tcp://::1:7464', 'an IPv6 address in brackets'],
    ['tcp://user@host:1', 'after tcp: comes //HOST:PORT'],
    ['tcp://127.0.0.1:65536', 'port 65536 is above 65535'],
    ['tcp://127.0.0.1:-1', 'after tcp: comes //HOST:PORT'],
    ['tcp://:7464', 'the host is missing'],
    ['tcp://[1.2.3.4]:7464', '"1.2.3.4" is no IPv6 address'],
    ['tcp://[1::2::3]:7464', '"1::2::3" is no IPv6 address'],
    ['tcp://[nonsense]:7464', '"nonsense" is no IPv6 address'],
    ['unix:', 'the path is missing'],
    ['unix://host/path', 'a unix socket has no host'],
    [`unix:/${'x'.repeat(107)}`, "the path has 108 bytes, a unix socket's at most 107"],
    ['unix:/a\0b', 'the path contains a zero byte'],
    ['memory:', 'the name is missing'],
  ])('refuses "%s"', (text, why) => {
    const parse = () => parseAddress(text);
    expect(parse).toThrow(TypeError);
    expect(parse).toThrow(why);
    expect(parse).toThrow(
      'expected tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH, ws://HOST:PORT, wss://HOST:PORT or memory:NAME',
    );
  });

  it('is the inverse of formatAddress', () => {
    const port = fc.integer({ min: 0, max: 65_535 });
    const address = fc.oneof(
      fc.record({
        kind: fc.constantFrom('tcp' as const, 'tls' as const, 'ws' as const, 'wss' as const),
        host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
        port,
      }),
      fc.record({ kind: fc.constant('unix' as const), path: fc.stringMatching(/^\/[a-z][a-z/.]{0,50}$/) }),
      fc.record({ kind: fc.constant('memory' as const), name: fc.string({ minLength: 1 }) }),
    );
    fc.assert(
      fc.property(address, (original) => {
        expect(parseAddress(formatAddress(original))).toEqual(original);
      }),
    );
  });
});
