/** `ringkv/browser` in a real browser: bundled, loaded from a page, and talking to every server that speaks WebSocket. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { connect } from '../../runtime/browser.ts';
import { createTransport, naturalTransport } from '../../transports/transports.ts';
import { hasOpenssl, serverCertificate, whyNoOpenssl } from '../support/certificates.ts';
import { type Runtime, root, runtimes } from '../support/children.ts';
import { launchChromium, whyNoChromium } from '../support/chromium.ts';
import { type ServerChild, startServe } from '../support/command.ts';

const found = runtimes();
const bun = found.find(({ name }) => name === 'bun');

/** Why it can't run here; undefined when it can. */
function whyNot(): string | undefined {
  return (
    whyNoChromium() ??
    (bun === undefined ? 'bun, which bundles it, is neither in node_modules/.bin nor on PATH' : undefined)
  );
}

/** What a page's own script finds in the page. */
declare const ringkv: { readonly connect: typeof connect };

const reason = whyNot();

describe.skipIf(reason !== undefined)(
  `the client in a browser${reason === undefined ? '' : `: skipped, ${reason}`}`,
  () => {
    let folder: string;
    let site: Server;
    let browser: Browser;
    let page: Page;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ringkv-browser-'));
      const script = bundle(bun!, folder);
      site = createServer((request, response) => {
        const isScript = request.url === '/script.js';
        response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
        response.end(
          isScript ? script : '<!doctype html><title>ringkv</title><script type="module" src="/script.js"></script>',
        );
      });
      site.listen(0, '127.0.0.1');
      await once(site, 'listening');
      browser = await launchChromium();
      page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
      await page.waitForFunction('globalThis.ringkv !== undefined');
    });

    afterAll(async () => {
      await browser?.close();
      site?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    for (const runtime of found) describe(...cell(runtime, () => page));

    describe.skipIf(!hasOpenssl)(`wss://${whyNoOpenssl}`, () => {
      const secrets = hasOpenssl ? serverCertificate() : { cert: '', key: '' };

      test('a server whose certificate the browser trusts, and no other', async () => {
        const args = ['--listen', 'wss://127.0.0.1:0', '--tls-cert', secrets.cert, '--tls-key', secrets.key];
        const server = await startServe(args, { runtime: bun! });
        const ping = async (at: Page): Promise<unknown> => {
          await at.goto(page.url());
          await at.waitForFunction('globalThis.ringkv !== undefined');
          return at.evaluate(async (address) => {
            const client = await ringkv.connect(address);
            const pong = await client.ping('over TLS');
            await client.close();
            return pong;
          }, server.ready.address);
        };
        // It is nobody's whom a browser trusts, so one is told to trust everybody.
        const trusting = await browser.newPage({ ignoreHTTPSErrors: true });
        expect(await ping(trusting)).toBe('over TLS');
        await trusting.close();
        await expect(ping(page)).rejects.toThrow(/can't connect to wss:/);
        expect(await server.child.stop()).toBe(0);
      });
    });

    test('a server that is not there, and an address that is none for a page', async () => {
      const messages = await page.evaluate(() =>
        Promise.all(
          ['ws://127.0.0.1:1', 'tcp://127.0.0.1:7464'].map((address) =>
            ringkv.connect(address).then(
              () => 'connected',
              (error: Error) => `${error.name}: ${error.message}`,
            ),
          ),
        ),
      );
      expect(messages).toEqual([
        "ConnectionError: can't connect to ws://127.0.0.1:1: no WebSocket server answers there (UNKNOWN)",
        "TypeError: a page can't connect to tcp://127.0.0.1:7464; expected ws://HOST:PORT or wss://HOST:PORT",
      ]);
    });
  },
);

function cell(runtime: Runtime, page: () => Page): [string, () => void] {
  const transport = naturalTransport(runtime.name, 'ws');
  const availability = createTransport(transport).availability();
  const name = `with ${transport} on ${runtime.name}`;
  if (runtime.name === 'node' && !availability.available) {
    return [`${name}: skipped, it ${availability.reason}`, () => test.skip('stores and reads', () => {})];
  }
  return [name, () => cellSuite(runtime, transport, page)];
}

function cellSuite(runtime: Runtime, transport: string, page: () => Page): void {
  let server: ServerChild;

  beforeAll(async () => {
    // A port that the kernel chooses for uWebSockets can't be listened on again while connections of before linger.
    server = await startServe(['--listen', `ws://127.0.0.1:${await freePort()}`, '--transport', transport], {
      runtime,
    });
  });
  afterAll(async () => {
    expect(await server.child.stop()).toBe(0);
  });

  test('stores and reads, in batches and scans, a large value, and what the server refuses', async () => {
    const outcome = await page().evaluate(async (address) => {
      const client = await ringkv.connect(address);
      await client.set('user:1', { name: 'Ada', langs: ['en', 'fr'] }, { ttlMs: 60_000 });
      const user = await client.get('user:1');
      const missing = (await client.get('user:2')) === undefined;
      const batch = await client.batch().add('visits', 41).add('visits', 1).has('user:1').send();
      const keys: string[] = [];
      for await (const key of client.scan({ prefix: 'user:' })) keys.push(String(key));
      const large = new Uint8Array(5 * 1024 * 1024).map((_, i) => i * 31);
      await client.set('large', large);
      const got = await client.get<Uint8Array>('large');
      const same = got?.length === large.length && got.every((byte, i) => byte === large[i]);
      const many = await Promise.all(Array.from({ length: 1000 }, () => client.add('counted', 1)));
      const refusal = await client.add('user:1', 1).catch((error: { name: string; code: string }) => error);
      const { transport: servedBy } = await client.hello();
      await client.close();
      const { name, code } = refusal as { name: string; code: string };
      return { user, missing, batch, keys, same, last: many.at(-1), name, code, servedBy };
    }, server.ready.address);
    expect(outcome).toEqual({
      user: { name: 'Ada', langs: ['en', 'fr'] },
      missing: true,
      batch: [41, 42, true],
      keys: ['user:1'],
      same: true,
      last: 1000,
      name: 'ServerError',
      code: 'TYPE',
      servedBy: transport,
    });
  });

  test('connects again when the server is back', async () => {
    const { address } = server.ready;
    await page().evaluate(async (at) => {
      const states: string[] = [];
      const onState = (state: string): void => void states.push(state);
      const client = await ringkv.connect({ address: at, timeoutMs: 30_000, onState });
      await client.set('kept', 1);
      Object.assign(globalThis, { again: { client, states } });
    }, address);
    // The last word of a server that was killed is a reset, or nothing at all.
    await server.child.stop('SIGKILL');
    await page().waitForFunction('again.states.includes("reconnecting")');
    server = await startServe(['--listen', address, '--transport', transport], { runtime });
    const pong = await page().evaluate('again.client.ping("back")');
    expect(pong).toBe('back');
    expect(await page().evaluate('again.client.close().then(() => again.states)')).toEqual([
      'connected',
      'reconnecting',
      'connected',
      'closed',
    ]);
  });
}

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  await new Promise((resolve) => holder.close(resolve));
  return port;
}

/** The script of the page: the built entry, made one file as a user's bundler would. */
function bundle({ command: [program, ...before] }: Runtime, folder: string): string {
  const source = join(folder, 'page.js');
  const entry = JSON.stringify(join(root, 'dist/runtime/browser.js'));
  writeFileSync(source, `import { connect } from ${entry};\nglobalThis.ringkv = { connect };\n`);
  const output = join(folder, 'script.js');
  execFileSync(program!, [...before, 'build', '--target', 'browser', source, '--outfile', output]);
  return readFileSync(output, 'utf8');
}
