/** TLS of real servers on every runtime: who is trusted, what SIGHUP changes, and that who does not finish the handshake is cut. */
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type SecureVersion,
  type TLSSocket,
} from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { type Client, connect } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import type { SecureAddress, TransportName } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { certify as certifyIn, expire, hasOpenssl, whyNoOpenssl } from '../support/certificates.ts';
import { type Runtime, runtimes, startChild } from '../support/children.ts';
import { descriptorsOf, run, type ServerChild, startServe } from '../support/command.ts';
import { request, WireClient } from '../support/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const certify = (name: string, ca?: string): void => certifyIn(folder, name, ca);
const pem = (name: string): string => readFileSync(file(name), 'utf8');
/** The flags that show a certificate. */
const shows = (name: string): string[] => ['--tls-cert', file(`${name}.pem`), '--tls-key', file(`${name}.key`)];

interface TlsEnd {
  readonly runtime: Runtime;
  readonly transport: TransportName;
  readonly kind: SecureAddress['kind'];
}

/** When `server` promises to have cut who does not finish the handshake: docs/security.md. Unit: milliseconds. */
const cutMs = (transport: TransportName): number => (transport === 'bun-ws' ? 12_000 : 5000);

const webSockets = { node: 'uws', bun: 'bun-ws', deno: 'deno-ws' } as const;

/** `node` on every runtime, and each runtime's own. */
function servers(): readonly TlsEnd[] {
  return runtimes().flatMap((runtime): TlsEnd[] => [
    { runtime, transport: 'node', kind: 'tls' },
    ...(runtime.name === 'node' ? [] : [{ runtime, transport: runtime.name, kind: 'tls' } as const]),
    { runtime, transport: webSockets[runtime.name], kind: 'wss' },
  ]);
}

/** What each runtime has itself to reach such an address. */
function clients(kind: TlsEnd['kind']): readonly TlsEnd[] {
  return runtimes().map((runtime) => ({
    runtime,
    transport: kind === 'tls' ? runtime.name : webSockets[runtime.name],
    kind,
  }));
}

describe.skipIf(!hasOpenssl)(`tls${whyNoOpenssl}`, () => {
  beforeAll(() => {
    certify('authority');
    certify('stranger');
    for (const name of ['first', 'second', 'client']) certify(name, 'authority');
    certify('impostor', 'stranger');
    certifyIn(folder, 'named', 'authority', undefined, 'DNS:localhost');
  });

  describe('what is refused', () => {
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await run(['serve', ...args]);
      expect(code).not.toBe(0);
      return stderr;
    };

    test.each(['tls', 'wss'])('%s:// without a certificate', async (kind) => {
      expect(await refused('--listen', `${kind}://127.0.0.1:0`)).toBe(
        `ringkv: ${kind}://127.0.0.1:0 needs a certificate and its key: --tls-cert and --tls-key\n`,
      );
    });

    test.each(['tcp', 'ws'])('a certificate at %s://, where nobody would see it', async (kind) => {
      for (const flags of [shows('first'), ['--tls-ca', file('authority.pem')]])
        expect(await refused('--listen', `${kind}://127.0.0.1:0`, ...flags)).toBe(
          `ringkv: ${kind}://127.0.0.1:0 has no TLS, so nobody would be shown --tls-cert or asked for what --tls-ca has signed: ` +
            'listen at tls:// or wss://\n',
        );
      const shell = ['shell', '--connect', `${kind}://127.0.0.1:1`, '--tls-ca', file('authority.pem'), 'ping'];
      expect(await run(shell)).toMatchObject({
        code: 1,
        stderr: `ringkv: ${kind}://127.0.0.1:1 has no TLS, so no certificate would be looked at: connect to tls:// or wss://\n`,
      });
      const plainly = connect({ address: `${kind}://127.0.0.1:1`, tls: { ca: pem('authority.pem') } });
      await expect(plainly).rejects.toMatchObject({ code: 'ARGUMENT' });
    });

    test('TLS by uring, which names who has it', async () => {
      const by = ['--transport', 'uring', ...shows('first'), '--listen'];
      expect(await refused(...by, 'tls://127.0.0.1:0')).toMatch(
        /has no TLS: take --transport node, which every runtime has, bun or deno, or leave|can't run here/,
      );
      expect(await refused(...by, 'wss://127.0.0.1:0')).toMatch(
        /has no TLS: take --transport uws, bun-ws or deno-ws, or leave|can't run here/,
      );
    });

    test('a client of TLS, by a server that has none', async () => {
      const plain = await startServe(['--listen', 'tcp://127.0.0.1:0', '--transport', 'node']);
      const address = plain.ready.address.replace('tcp:', 'tls:');
      expect(await run(['shell', '--connect', address, 'ping'])).toMatchObject({
        code: 1,
        stderr: `ringkv: can't connect to ${address}: no TLS is spoken there (ERR_SSL_WRONG_VERSION_NUMBER)\n`,
      });
      expect(await plain.child.stop()).toBe(0);
    });

    test('files that are missing, hold something else, or do not belong together', async () => {
      writeFileSync(file('nothing'), 'nothing');
      const listen = ['--listen', 'tls://127.0.0.1:0'];
      const cert = ['--tls-cert', file('first.pem')];
      const key = ['--tls-key', file('first.key')];
      expect(await refused(...listen, ...cert)).toContain('go together: --tls-cert and --tls-key');
      expect(await refused(...listen, ...cert, '--tls-key', file('second.key'))).toBe(
        `ringkv: the key in ${file('second.key')} is not that of the certificate in ${file('first.pem')}\n`,
      );
      expect(await refused(...listen, ...key, '--tls-cert', file('nothing'))).toBe(
        `ringkv: ${file('nothing')} holds no certificate in PEM, or not all of it\n`,
      );
      expect(await refused(...listen, ...cert, '--tls-key', file('nothing'))).toBe(
        `ringkv: ${file('nothing')} holds no private key in PEM, or not all of it\n`,
      );
      expect(await refused(...listen, ...cert, ...key, '--tls-ca', file('nothing'))).toBe(
        `ringkv: ${file('nothing')} holds no certificate in PEM, or not all of it\n`,
      );
      expect(await refused(...listen, ...cert, '--tls-key', file('missing'))).toContain(file('missing'));
    });
  });

  test('the client that asks for TLS 1.1 gets it where it is given', async () => {
    const old = createServer({ cert: pem('first.pem'), key: pem('first.key'), ...upTo('TLSv1.1') }).listen(0);
    await once(old, 'listening');
    expect(await spoken((old.address() as { port: number }).port, 'TLSv1.1')).toBe('TLSv1.1');
    old.close();
  });

  test.each(runtimes())(
    'stderr of $name tells of a certificate that has expired, at the start and at SIGHUP',
    async (runtime) => {
      expire(folder, 'old');
      const listen = ['--listen', 'tls://127.0.0.1:0', '--transport', 'node'];
      const server = await startServe([...listen, ...shows('old')], { runtime });
      const line = `the certificate in ${file('old.pem')} expired at Jan  1 00:00:00 2021 GMT: clients refuse it`;
      expect(server.child.stderr.split(line)).toHaveLength(2);
      process.kill(server.ready.pid, 'SIGHUP');
      await expect.poll(() => server.child.stderr, { timeout: 5000 }).toContain('SIGHUP: read anew');
      expect(server.child.stderr.split(line)).toHaveLength(3);
      expect(await server.child.stop()).toBe(0);
    },
  );

  test.each(clients('tls'))(
    'an attempt by $transport that is given up in the handshake leaves nothing',
    async ({ runtime, transport }) => {
      const silence = createTcpServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
      await once(silence, 'listening');
      const address = `tls://127.0.0.1:${(silence.address() as { port: number }).port}`;
      const client = startChild(runtime, 'test/support/transport-app.mjs', [
        transport,
        'connect',
        address,
        'abort later',
      ]);
      await client.waitForLine(/^failed - given up/);
      // A socket that is left would keep it running.
      expect(await client.exit, client.stderr).toBe(0);
      silence.close();
    },
  );

  for (const end of servers()) {
    const { runtime, transport } = end;
    const availability = createTransport(transport).availability();
    const reason = transport === 'uws' && !availability.available ? `: skipped, it ${availability.reason}` : '';
    describe.skipIf(reason !== '')(`${transport} on ${runtime.name}${reason}`, () => serverSuite(end));
  }

  test('shards that can not use what SIGHUP has read keep what they have, and what they hold', async () => {
    // OpenSSL reads a key that it then finds too small to use.
    certifyIn(folder, 'weak', undefined, ['-newkey', 'rsa:512']);
    for (const kind of ['pem', 'key']) copyFileSync(file(`first.${kind}`), file(`shards.${kind}`));
    const server = await startServe([
      '--listen',
      'tls://127.0.0.1:0',
      '--transport',
      'node',
      '--shards',
      '2',
      ...shows('shards'),
    ]);
    const client = await connect({ address: server.ready.address, tls: { ca: pem('authority.pem') } });
    await client.set('k', 'still here');
    for (const kind of ['pem', 'key']) copyFileSync(file(`weak.${kind}`), file(`shards.${kind}`));
    process.kill(server.ready.pid, 'SIGHUP');
    await expect
      .poll(() => server.child.stderr, { timeout: 5000 })
      .toMatch(/SIGHUP: nothing is changed, for .*too small/);
    expect(await shown(portOf(server))).toBe('first');
    expect(await client.get('k')).toBe('still here');
    for (const kind of ['pem', 'key']) copyFileSync(file(`second.${kind}`), file(`shards.${kind}`));
    process.kill(server.ready.pid, 'SIGHUP');
    await expect.poll(() => server.child.stderr, { timeout: 5000 }).toContain('SIGHUP: read anew');
    expect(await shown(portOf(server))).toBe('second');
    expect(server.child.stderr).not.toContain('has died');
    await client.close();
    expect(await server.child.stop()).toBe(0);
  });

  function serverSuite({ runtime, transport, kind }: TlsEnd): void {
    let server: ServerChild;
    let unfinished: Promise<readonly number[]>;
    const ca = (): string => pem('authority.pem');
    const port = (): number => portOf(server);
    const serve = (...args: readonly string[]): Promise<ServerChild> =>
      startServe(['--listen', `${kind}://127.0.0.1:0`, '--transport', transport, ...args], { runtime });

    test('shards are told by the host they listen at, which their certificate names', async () => {
      const named = ['--listen', `${kind}://localhost:0`, '--transport', transport, '--shards', '2', ...shows('named')];
      const sharded = await startServe(named, { runtime });
      const client = await connect({ address: sharded.ready.address, tls: { ca: ca() } });
      const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`);
      for (const key of keys) await client.set(key, key);
      for (const key of keys) expect(await client.get(key)).toBe(key);
      await client.close();
      expect(await sharded.child.stop(), sharded.child.stderr).toBe(0);
    });

    beforeAll(async () => {
      copyFileSync(file('first.pem'), file('server.pem'));
      copyFileSync(file('first.key'), file('server.key'));
      server = await serve(...shows('server'));
      const ends = [silent, slow, ...(kind === 'wss' ? [unasking, asking] : [])];
      unfinished = Promise.all(ends.map((end) => timeOf(end(port()))));
    });
    afterAll(async () => {
      expect(await server?.child.stop()).toBe(0);
      expect(server?.child.stderr.replaceAll(/^.*(SIGHUP|is a cache).*\n/gm, '')).toBe('');
    });

    test('carries operations of any size to those who trust it, and nobody else', async () => {
      const { address } = server.ready;
      expect(server.ready.transport).toBe(transport);
      expect(parseAddress(address).kind).toBe(kind);
      const client = await connect({ address, tls: { ca: ca() } });
      const big = 'x'.repeat(3 * 1024 * 1024);
      await client.set('big', big);
      expect(await client.get('big')).toBe(big);
      for (const tls of [undefined, { ca: pem('stranger.pem') }])
        await expect(connect({ address, tls })).rejects.toMatchObject({ code: 'CONNECTION' });
      await client.close();
    });

    test('cuts who speaks no TLS, and nobody else notices', async () => {
      const client = await connect({ address: server.ready.address, tls: { ca: ca() } });
      const plainly = server.ready.address.replace('tls:', 'tcp:').replace('wss:', 'ws:');
      // What comes back is no frame, or nothing.
      await expect(connect({ address: plainly })).rejects.toThrow();
      await plain(port());
      expect(await client.ping('still here')).toBe('still here');
      await client.close();
    });

    test('speaks TLS 1.2 and 1.3, and nothing older', async () => {
      expect(await spoken(port(), 'TLSv1.2')).toBe('TLSv1.2');
      expect(await spoken(port(), 'TLSv1.3')).toBe('TLSv1.3');
      await expect(spoken(port(), 'TLSv1.1')).rejects.toThrow();
    });

    test.each(clients(kind))(
      'the shell talks to it by $transport on $runtime.name, if it trusts it',
      async (client) => {
        const args = ['shell', '--connect', server.ready.address, '--transport', client.transport];
        const input = `set from ${client.transport}\nget from\n`;
        const trusting = await run([...args, '--tls-ca', file('authority.pem')], { runtime: client.runtime, input });
        expect(trusting).toMatchObject({ code: 0, stdout: `true\n"${client.transport}"\n` });
        const strict = await run([...args, '--tls-ca', file('stranger.pem')], { runtime: client.runtime, input });
        expect(strict.stderr).toMatch(new RegExp(`^ringkv: can't connect to ${kind}:`));
        expect(strict.stdout).toBe('');
      },
    );

    test('shows new connections the certificate that SIGHUP has read, and keeps the old one when there is none', async () => {
      const { address } = server.ready;
      const client = await connect({ address, tls: { ca: ca() } });
      const refusals = (): number =>
        server.child.stderr.split(/SIGHUP: nothing is changed, for \S+server.pem holds no/).length - 1;
      expect(await shown(port())).toBe('first');
      const half = pem('second.pem').slice(0, 300);
      const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
      // The second certificate of a chain is read by nobody before a client asks for it.
      for (const [i, wrong] of ['nothing', half, pem('second.pem') + half, pem('second.pem') + garbage].entries()) {
        writeFileSync(file('server.pem'), wrong);
        process.kill(server.ready.pid, 'SIGHUP');
        await expect.poll(refusals, { timeout: 5000 }).toBe(i + 1);
        expect(await shown(port())).toBe('first');
      }
      copyFileSync(file('second.pem'), file('server.pem'));
      copyFileSync(file('second.key'), file('server.key'));
      process.kill(server.ready.pid, 'SIGHUP');
      await expect.poll(() => server.child.stderr, { timeout: 5000 }).toContain('SIGHUP: read anew');
      expect(await shown(port())).toBe('second');
      await client.set('k', 'still here');
      const later = await connect({ address, tls: { ca: ca() } });
      expect(await later.get('k')).toBe('still here');
      await Promise.all([client.close(), later.close()]);
    });

    test('leaves no file behind, also when a second signal ends it at once', async () => {
      const temporary = mkdtempSync(join(folder, 'temporary-'));
      const args = ['--listen', `${kind}://127.0.0.1:0`, '--transport', transport, ...shows('first')];
      const hurried = await startServe(args, { runtime, env: { TMPDIR: temporary } });
      const client = connectTls({ port: portOf(hurried), host: '127.0.0.1', ca: ca() });
      client.on('error', () => {});
      await once(client, 'secureConnect');
      process.kill(hurried.ready.pid, 'SIGTERM');
      process.kill(hurried.ready.pid, 'SIGINT');
      await hurried.child.exit;
      expect(readdirSync(temporary)).toEqual([]);
      client.destroy();
    });

    test.skipIf(kind === 'tls' || transport === 'bun-ws')(
      'refuses a TMPDIR that is too long for its unix socket, and leaves nothing there',
      async () => {
        const base = mkdtempSync('/tmp/ringkv-');
        onTestFinished(() => rmSync(base, { recursive: true }));
        const ofBytes = (count: number): string => join(base, 'x'.repeat(count - base.length - 1));
        const socket = '/ringkv-tls-123456/plain.sock';
        const [fits, tooLong] = [ofBytes(107 - socket.length), ofBytes(108 - socket.length)];
        for (const temporary of [fits, tooLong]) mkdirSync(temporary);
        const args = ['--listen', `${kind}://127.0.0.1:0`, '--transport', transport, ...shows('first')];
        const { code, stderr } = await run(['serve', ...args], { runtime, env: { TMPDIR: tooLong } });
        expect(stderr).toMatch(
          /^ringkv: can't listen on wss:.* has 108 bytes, .* at most 107; set TMPDIR to a shorter one\n$/,
        );
        expect(code).toBe(1);
        expect(readdirSync(tooLong)).toEqual([]);
        const served = await startServe(args, { runtime, env: { TMPDIR: fits } });
        expect(await served.child.stop()).toBe(0);
        expect(readdirSync(fits)).toEqual([]);
      },
    );

    test.skipIf(kind === 'tls' || transport === 'bun-ws')('names its address where TMPDIR is none', async () => {
      const args = ['--listen', `${kind}://127.0.0.1:0`, '--transport', transport, ...shows('first')];
      const { code, stderr } = await run(['serve', ...args], { runtime, env: { TMPDIR: file('missing') } });
      expect(stderr).toMatch(/^ringkv: can't listen on wss:.* a folder below \S+missing.*\(ENOENT\); set TMPDIR .*\n$/);
      expect(code).toBe(1);
    });

    test('asks clients for a certificate, if it is told whose', async () => {
      const strict = await serve(...shows('first'), '--tls-ca', file('authority.pem'));
      const { address } = strict.ready;
      const client = await connect({ address, tls: { ca: ca(), cert: pem('client.pem'), key: pem('client.key') } });
      await client.set('k', 1);
      await client.close();
      const impostor = { ca: ca(), cert: pem('impostor.pem'), key: pem('impostor.key') };
      for (const tls of [{ ca: ca() }, impostor])
        await expect(connect({ address, tls })).rejects.toMatchObject({ code: 'CONNECTION' });
      const own = ['--tls-ca', file('authority.pem'), ...shows('client')];
      for (const client of clients(kind)) {
        const args = ['shell', '--connect', address, '--transport', client.transport, ...own, 'get', 'k'];
        expect(await run(args, { runtime: client.runtime })).toMatchObject({ code: 0, stdout: '1\n' });
      }
      expect(await strict.child.stop()).toBe(0);
    });

    // The handshakes of `Bun.serve` are its own.
    test.skipIf(transport === 'bun-ws')('cuts at once who is one handshake too many', async () => {
      const small = await serve(...shows('first'), '--max-connections', '3');
      const attempts: { readonly socket: Socket; readonly cut: Promise<void> }[] = [];
      for (let i = 0; i < 4; i++) {
        attempts.push(opened(portOf(small)));
        const { socket, cut } = attempts[i]!;
        // The last may be reset before it hears that it is connected.
        await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), cut]);
      }
      // Those before are cut as well, when their time is over.
      expect(await Promise.race(attempts.map(({ cut }, i) => cut.then(() => i)))).toBe(3);
      for (const { socket } of attempts) socket.destroy();
      // The server has to notice that they have left, which may take it the time of a handshake.
      let client: Client | undefined;
      while (client === undefined)
        client = await connect({ address: small.ready.address, tls: { ca: ca() } }).catch(() => undefined);
      expect(await client.ping(1)).toBe(1);
      await client.close();
      expect(await small.child.stop()).toBe(0);
    });

    // Bun waits itself for who does not leave, and closes what it cuts.
    test.skipIf(kind === 'tls' || transport === 'bun-ws')(
      'keeps nothing of who was closed and does not leave, or was cut and does not read',
      async () => {
        const strict = await serve(...shows('first'), '--max-output', '1m');
        const good = await WireClient.dial(strict.ready.address);
        await good.call([Op.SET, 'heavy', Buffer.alloc(1024 * 1024, 'x')]);
        const before = descriptorsOf(strict);
        const staying = await closedWebSocket(portOf(strict));
        // Deno can't cut a WebSocket.
        const unread = transport === 'deno-ws' ? undefined : await WireClient.dial(strict.ready.address);
        unread?.peer.pause();
        unread?.peer.write(request(...Array.from({ length: 60 }, () => [Op.GET, 'heavy'])));
        await expect.poll(() => descriptorsOf(strict), { timeout: 15_000 }).toBeLessThanOrEqual(before);
        expect(await good.call([Op.PING])).toEqual(['PONG']);
        staying.destroy();
        await Promise.all([good.close(), unread?.close()]);
        expect(await strict.child.stop()).toBe(0);
      },
    );

    test('has cut who was silent since it began, and who goes on too slowly, in the time that it says', async () => {
      const tookMs = await unfinished;
      for (const ms of tookMs) expect(ms).toBeLessThan(3 * cutMs(transport));
      // Who needs a second for the handshake gets it.
      for (const ms of tookMs.slice(0, 2)) expect(ms).toBeGreaterThan(1000);
    });
  }
});

function portOf({ ready }: ServerChild): number {
  return Number(/\d+$/.exec(ready.address)![0]);
}

/** Who so connects does not leave when the server has ended its side. */
function connectHalfOpen(port: number): TLSSocket {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true };
  return connectTls(options);
}

/** It has opened a WebSocket and closed it, has seen the server's end, and does not leave. */
async function closedWebSocket(port: number): Promise<Socket> {
  const socket = connectHalfOpen(port);
  socket.on('error', () => {}).resume();
  const key = Buffer.alloc(16).toString('base64');
  const headers = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13`;
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`);
  await once(socket, 'data');
  socket.write(Uint8Array.of(0x88, 0x80, 0, 0, 0, 0));
  await once(socket, 'end');
  return socket;
}

/** How long something takes. Unit: milliseconds. */
async function timeOf(what: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await what;
  return performance.now() - began;
}

// Clients that do not finish the handshake; each resolves when the server has cut it

function opened(port: number): { readonly socket: Socket; readonly cut: Promise<void> } {
  const socket = connectTcp(port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  return { socket, cut: new Promise((resolve) => socket.once('close', () => resolve())) };
}

function silent(port: number): Promise<void> {
  return opened(port).cut;
}

/** The header of a handshake's record of 200 bytes, and then a byte now and then. */
function slow(port: number): Promise<void> {
  const { socket, cut } = opened(port);
  socket.write(Uint8Array.of(0x16, 0x03, 0x01, 0x00, 0xc8, 0x01));
  const drops = setInterval(() => socket.write(Uint8Array.of(0)), 500);
  return cut.finally(() => clearInterval(drops));
}

/** It finishes the handshake, but does not ask for a WebSocket. */
function unasking(port: number): Promise<void> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {}).resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** It asks for pages, one after the other. */
function asking(port: number): Promise<void> {
  const socket = connectHalfOpen(port);
  socket.on('error', () => {}).resume();
  const requests = setInterval(() => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), 500);
  return new Promise<void>((resolve) => socket.once('close', () => resolve())).finally(() => clearInterval(requests));
}

function plain(port: number): Promise<void> {
  const { socket, cut } = opened(port);
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  return cut;
}

// Clients that look at the handshake

/** OpenSSL speaks versions before 1.2 only if its level of security is lowered. */
function upTo(version: SecureVersion): SecureContextOptions {
  return { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' };
}

/** The version that a server agrees to speak with a client that speaks that one alone. */
function spoken(port: number, version: SecureVersion): Promise<string | null> {
  return shaken(port, upTo(version), (socket) => socket.getProtocol());
}

/** The name in the certificate that a server shows. */
function shown(port: number): Promise<string> {
  return shaken(port, {}, (socket) => String((socket.getPeerCertificate() as DetailedPeerCertificate).subject.CN));
}

function shaken<T>(
  port: number,
  options: ConnectionOptions,
  look: (socket: ReturnType<typeof connectTls>) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      resolve(look(socket));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed in the handshake')));
  });
}
