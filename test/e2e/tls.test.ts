/** TLS of real servers on every runtime: who is trusted, what SIGHUP changes, and that a silent client is cut. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type DetailedPeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import type { TransportName } from '../../transports/transport.ts';
import { certify as certifyIn, hasOpenssl } from '../support/certificates.ts';
import { type Runtime, runtimes } from '../support/children.ts';
import { run, type ServerChild, startServe } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const certify = (name: string, ca?: string): void => certifyIn(folder, name, ca);
const pem = (name: string): string => readFileSync(file(name), 'utf8');

const title = hasOpenssl ? 'tls' : 'tls: openssl is missing, which Debian has in the package openssl';

describe.skipIf(!hasOpenssl)(title, () => {
  beforeAll(() => {
    certify('authority');
    certify('stranger');
    for (const name of ['first', 'second', 'client']) certify(name, 'authority');
    certify('impostor', 'stranger');
  });

  test('without a certificate there is no server, and uring names who can', async () => {
    expect(await run(['serve', '--listen', 'tls://127.0.0.1:0'])).toMatchObject({
      code: 1,
      stderr: 'ringkv: tls://127.0.0.1:0 needs a certificate and its key: --tls-cert and --tls-key\n',
    });
    const secrets = ['--tls-cert', file('first.pem'), '--tls-key', file('first.key')];
    const refused = await run(['serve', '--listen', 'tls://127.0.0.1:0', '--transport', 'uring', ...secrets]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/has no TLS: take --transport node, which every runtime has, or bun|can't run here/);
    const deno = runtimes().find(({ name }) => name === 'deno');
    if (deno !== undefined) {
      const args = ['serve', '--listen', 'tls://127.0.0.1:0', '--transport', 'deno', ...secrets];
      const { stderr } = await run(args, { runtime: deno });
      expect(stderr).toMatch(/^ringkv: transport deno can't serve TLS, .*--transport node.*\n$/);
    }
    const mixed = await run(['serve', '--listen', 'tls://127.0.0.1:0', ...secrets.slice(0, 3), file('second.key')]);
    expect(mixed.stderr).toBe(
      `ringkv: the key in ${file('second.key')} is not that of the certificate in ${file('first.pem')}\n`,
    );
  });

  for (const { runtime, transport } of servers()) {
    describe(`${transport} on ${runtime.name}`, () => {
      let server: ServerChild;
      const ca = (): string => pem('authority.pem');
      const serve = (...args: readonly string[]): Promise<ServerChild> => {
        copyFileSync(file('first.pem'), file('server.pem'));
        copyFileSync(file('first.key'), file('server.key'));
        const secrets = ['--transport', transport, '--tls-cert', file('server.pem'), '--tls-key', file('server.key')];
        return startServe(['--listen', 'tls://127.0.0.1:0', ...secrets, ...args], { runtime });
      };
      const portOf = ({ ready }: ServerChild): number => Number(/\d+$/.exec(ready.address)![0]);

      test('carries operations of any size to those who trust it, and nobody else; a silent client is cut', async () => {
        server = await serve();
        expect(server.ready).toMatchObject({ transport });
        const { address } = server.ready;
        expect(parseAddress(address).kind).toBe('tls');
        const silent = connectTcp(portOf(server), '127.0.0.1');
        const silentClosed = new Promise<void>((resolve) => silent.once('close', () => resolve()));
        silent.on('error', () => {}).resume();

        const client = await connect({ address, tls: { ca: ca() } });
        const big = 'x'.repeat(3 * 1024 * 1024);
        await client.set('big', big);
        expect(await client.get('big')).toBe(big);
        await expect(connect({ address })).rejects.toMatchObject({ code: 'CONNECTION' });
        await expect(connect({ address, tls: { ca: pem('stranger.pem') } })).rejects.toMatchObject({
          code: 'CONNECTION',
        });
        // What comes back is no frame, or nothing.
        await expect(connect({ address: address.replace('tls:', 'tcp:') })).rejects.toThrow();
        await silentClosed;
        expect(await client.get('big')).toBe(big);
        await client.close();
      });

      test.each(clients())('the shell talks to it by $transport on $runtime.name, if it trusts it', async (client) => {
        const args = ['shell', '--connect', server.ready.address, '--transport', client.transport];
        const input = `set from ${client.transport}\nget from\n`;
        const trusting = await run([...args, '--tls-ca', file('authority.pem')], { runtime: client.runtime, input });
        expect(trusting).toMatchObject({ code: 0, stdout: `true\n"${client.transport}"\n` });
        const strict = await run([...args, '--tls-ca', file('stranger.pem')], { runtime: client.runtime, input });
        expect(strict.stderr).toMatch(/^ringkv: can't connect to tls:/);
        expect(strict.stdout).toBe('');
      });

      test('shows new connections the certificate that SIGHUP has read, and keeps the old one when there is none', async () => {
        const { address } = server.ready;
        const client = await connect({ address, tls: { ca: ca() } });
        const told = async (pattern: RegExp): Promise<void> => {
          while (!pattern.test(server.child.stderr)) await new Promise((resolve) => setTimeout(resolve, 20));
        };
        expect(await shown(portOf(server))).toBe('first');
        writeFileSync(file('server.pem'), 'nothing');
        process.kill(server.ready.pid, 'SIGHUP');
        await told(/SIGHUP: nothing is changed, for \S+server.pem holds no certificate in PEM/);
        expect(await shown(portOf(server))).toBe('first');
        copyFileSync(file('second.pem'), file('server.pem'));
        copyFileSync(file('second.key'), file('server.key'));
        process.kill(server.ready.pid, 'SIGHUP');
        await told(/SIGHUP: read anew/);
        expect(await shown(portOf(server))).toBe('second');
        await client.set('k', 'still here');
        await client.close();
        expect(await server.child.stop()).toBe(0);
      });
    });
  }

  test.each(servers())(
    '$transport on $runtime.name asks clients for a certificate, if it is told whose',
    async ({ runtime, transport }) => {
      const secrets = [
        '--tls-cert',
        file('first.pem'),
        '--tls-key',
        file('first.key'),
        '--tls-ca',
        file('authority.pem'),
      ];
      const server = await startServe(['--listen', 'tls://127.0.0.1:0', '--transport', transport, ...secrets], {
        runtime,
      });
      const { address } = server.ready;
      const ca = pem('authority.pem');
      const client = await connect({ address, tls: { ca, cert: pem('client.pem'), key: pem('client.key') } });
      await client.set('k', 1);
      await client.close();
      const impostor = { ca, cert: pem('impostor.pem'), key: pem('impostor.key') };
      for (const tls of [{ ca }, impostor])
        await expect(connect({ address, tls })).rejects.toMatchObject({ code: 'CONNECTION' });
      const own = [
        '--tls-ca',
        file('authority.pem'),
        '--tls-cert',
        file('client.pem'),
        '--tls-key',
        file('client.key'),
      ];
      for (const client of clients()) {
        const args = ['shell', '--connect', address, '--transport', client.transport, ...own, 'get', 'k'];
        expect(await run(args, { runtime: client.runtime })).toMatchObject({ code: 0, stdout: '1\n' });
      }
      expect(await server.child.stop()).toBe(0);
    },
  );
});

interface TlsEnd {
  readonly runtime: Runtime;
  readonly transport: TransportName;
}

/** `node` on every runtime, and `bun` on Bun. */
function servers(): readonly TlsEnd[] {
  return runtimes().flatMap((runtime) =>
    (runtime.name === 'bun' ? (['node', 'bun'] as const) : (['node'] as const)).map((transport) => ({
      runtime,
      transport,
    })),
  );
}

/** The clients of the runtimes' own sockets. */
function clients(): readonly TlsEnd[] {
  return runtimes().map((runtime) => ({ runtime, transport: runtime.name }));
}

/** The name in the certificate that a server shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate() as DetailedPeerCertificate;
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.once('error', reject);
  });
}
