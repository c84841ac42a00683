/** TLS of real servers on every runtime: who is trusted, what SIGHUP changes, and that a silent client is cut. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type DetailedPeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../runtime/client.ts';
import { parseAddress } from '../../transports/address.ts';
import { runtimes } from '../support/children.ts';
import { run, type ServerChild, startServe } from '../support/command.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'ringkv-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
const pem = (name: string): string => readFileSync(file(name), 'utf8');

/** Makes `name.pem` and `name.key`, signed by `ca`, or by itself as an authority. */
function certify(name: string, ca?: string): void {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  const subject = ['-subj', `/CN=${name}`];
  if (ca === undefined) openssl('req', '-x509', ...key, '-out', `${name}.pem`, ...subject, '-days', '2');
  else {
    writeFileSync(file('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    openssl('req', ...key, '-out', `${name}.csr`, ...subject);
    const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-extfile',
      'extensions',
    );
  }
}

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
    expect(refused.stderr).toMatch(/has no TLS: take --transport node|can't run here/);
    const mixed = await run(['serve', '--listen', 'tls://127.0.0.1:0', ...secrets.slice(0, 3), file('second.key')]);
    expect(mixed.stderr).toBe(
      `ringkv: the key in ${file('second.key')} is not that of the certificate in ${file('first.pem')}\n`,
    );
  });

  for (const runtime of runtimes()) {
    describe(runtime.name, () => {
      let server: ServerChild;
      const ca = (): string => pem('authority.pem');
      const serve = (...args: readonly string[]): Promise<ServerChild> => {
        copyFileSync(file('first.pem'), file('server.pem'));
        copyFileSync(file('first.key'), file('server.key'));
        const secrets = ['--tls-cert', file('server.pem'), '--tls-key', file('server.key')];
        return startServe(['--listen', 'tls://127.0.0.1:0', ...secrets, ...args], { runtime });
      };
      const portOf = ({ ready }: ServerChild): number => Number(/\d+$/.exec(ready.address)![0]);

      test('carries operations of any size to those who trust it, and nobody else; a silent client is cut', async () => {
        server = await serve();
        expect(server.ready).toMatchObject({ transport: 'node' });
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

  test('asks clients for a certificate, if it is told whose', async () => {
    const secrets = [
      '--tls-cert',
      file('first.pem'),
      '--tls-key',
      file('first.key'),
      '--tls-ca',
      file('authority.pem'),
    ];
    const server = await startServe(['--listen', 'tls://127.0.0.1:0', ...secrets]);
    const { address } = server.ready;
    const ca = pem('authority.pem');
    const client = await connect({ address, tls: { ca, cert: pem('client.pem'), key: pem('client.key') } });
    await client.set('k', 1);
    await client.close();
    const impostor = { ca, cert: pem('impostor.pem'), key: pem('impostor.key') };
    for (const tls of [{ ca }, impostor])
      await expect(connect({ address, tls })).rejects.toMatchObject({ code: 'CONNECTION' });
    expect(await server.child.stop()).toBe(0);
  });
});

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
