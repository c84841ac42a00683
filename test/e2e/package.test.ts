/** The packed tarball, installed in an empty folder: serves, connects and embeds under every runtime. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Runtime, root, runtimes, startChild } from '../support/children.ts';
import { entry, node, startServe } from '../support/command.ts';

/** What a user's program does with the three entry points; the same under every runtime. */
const PROGRAM = `
import { connect } from 'ringkv/client';
import { startServer } from 'ringkv/server';
import { openStore } from 'ringkv/store';

const client = await connect(process.argv[2]);
await client.set('greeting', { hello: ['world', 1] });
const served = await client.get('greeting');
await client.close();

const server = await startServer({ listen: 'tcp://127.0.0.1:0' });
const own = await connect(server.address);
const counted = await own.add('n', 41);
await own.close();
await server.close();

const store = openStore();
store.set('a', 'embedded');
const embedded = store.get('a');
store.close();

console.log(JSON.stringify({ served, counted, embedded }));
process.exit(0);
`;

/** The same entry points as TypeScript sees them. */
const TYPED_PROGRAM = `
import { connect as connectFromPage } from 'ringkv/browser';
import { type Client, connect } from 'ringkv/client';
import { type Server, startServer } from 'ringkv/server';
import { openStore } from 'ringkv/store';

const server: Server = await startServer({ listen: 'tcp://127.0.0.1:0', engine: 'swiss', maxFrameBytes: 65_536 });
const client: Client = await connect(server.address);
const value: string | undefined | null = await client.get<string>('a');
const store = openStore();
const embedded: number | undefined | null = store.get<number>('a');
// @ts-expect-error there is no such engine
await startServer({ engine: 'redis' });
// @ts-expect-error a page has nothing but its WebSocket
await connectFromPage({ address: 'ws://127.0.0.1:7464', transport: 'node' });
export { value, embedded };
`;

/** Long enough for npm to bring a Node that is not in its cache. Unit: milliseconds. */
const DOWNLOAD_TIMEOUT_MS = 300_000;

let folder: string;
let installed: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringkv-package-'));
  // Its scripts would build dist/ anew, under the feet of the tests that run it meanwhile.
  const packed = npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  writeFileSync(join(folder, 'program.mjs'), PROGRAM);
  writeFileSync(join(folder, 'typed.ts'), TYPED_PROGRAM);
  npm(['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, filename)], folder);
  installed = join(folder, 'node_modules/ringkv/dist/ringkv.js');
}, DOWNLOAD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

async function expectAllToWork(runtime: Runtime): Promise<void> {
  const server = await startServe([], { runtime, cwd: folder, script: installed });
  try {
    expect(server.ready.runtime).toMatch(new RegExp(`^${runtime.name}/`));
    const program = startChild(runtime, join(folder, 'program.mjs'), [server.ready.address], { cwd: folder });
    expect(await program.exit, program.stderr).toBe(0);
    expect(JSON.parse(program.lines.join(''))).toEqual({
      served: { hello: ['world', 1] },
      counted: 41,
      embedded: 'embedded',
    });
  } finally {
    expect(await server.child.stop()).toBe(0);
  }
}

test.each(runtimes())('serves, connects and embeds under $name', expectAllToWork);

test('is a command of its own', () => {
  const stdout = execFileSync(join(folder, 'node_modules/.bin/ringkv'), ['--version'], { encoding: 'utf8' });
  expect(stdout).toBe(execFileSync(node.command[0]!, [entry, '--version'], { encoding: 'utf8' }));
});

test('its types are found by TypeScript', () => {
  const options = '--noEmit --strict --skipLibCheck --module nodenext --target es2023 --lib es2023,esnext.disposable';
  const tsc = join(root, 'node_modules/.bin/tsc');
  let output = '';
  try {
    execFileSync(tsc, [...options.split(' '), 'typed.ts'], { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  expect(output).toBe('');
});

test('a runtime that is nowhere is one line with a remedy, and 2', async () => {
  const child = startChild(node, installed, ['serve', '--runtime', 'deno'], { cwd: folder, env: { PATH: '/nowhere' } });
  expect(await child.exit).toBe(2);
  expect(child.lines).toEqual([]);
  expect(child.stderr).toBe('ringkv: deno is neither in node_modules/.bin nor on PATH; "npm install deno" brings it\n');
});

const deno = runtimes().find(({ name }) => name === 'deno');

/** The permissions that docs/client.md asks for. */
function permissionsOf(what: string): string[] {
  const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
  const row = page.split('\n').find((line) => line.startsWith(`| ${what} |`))!;
  return [...row.split('|')[2]!.matchAll(/`(\w+)`/g)].map(([, name]) => `--allow-${name}`);
}

test.skipIf(deno === undefined)('the permissions of Deno that are documented are enough', async () => {
  const server = await startServe();
  const programs = {
    '`connect` of the client': `import { connect } from 'ringkv/client';
      const client = await connect('${server.ready.address}');
      console.log(await client.ping('done'));
      await client.close();`,
    '`openStore`': `import { openStore } from 'ringkv/store';
      console.log(openStore().set('k', 1) ? 'done' : 'not');`,
    '`startServer`': `import { startServer } from 'ringkv/server';
      const server = await startServer({ listen: 'tcp://127.0.0.1:0' });
      console.log((await server.info()).keys === 0 ? 'done' : 'not');
      await server.close();`,
  };
  for (const [i, [what, program]] of Object.entries(programs).entries()) {
    const file = join(folder, `permitted-${i}.mjs`);
    writeFileSync(file, program);
    const permissions = permissionsOf(what);
    expect(permissions.length, what).toBeGreaterThan(0);
    const command = [deno!.command[0]!, 'run', '--no-prompt', ...permissions];
    const child = startChild({ name: 'deno', command }, file, [], { cwd: folder });
    expect(await child.exit, child.stderr).toBe(0);
    expect(child.lines).toEqual(['done']);
  }
  expect(await server.child.stop()).toBe(0);
});

// npm 11 runs no install script that nobody approved; then `deno` is a script that starts the program and drops signals.
test.skipIf(deno === undefined)('a runtime behind a script is started without the script', async () => {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const script = `#!/bin/sh\n"${deno!.command[0]}" "$@"\nexit $?\n`;
  writeFileSync(join(bin, 'deno'), script, { mode: 0o755 });
  const options = { cwd: folder, script: installed, env: { PATH: `${bin}:/usr/bin:/bin` } };
  const { child, ready } = await startServe(['--runtime', 'deno'], options);
  expect(ready.runtime).toMatch(/^deno\//);
  expect(await child.stop()).toBe(0);
  expect(() => process.kill(ready.pid, 0)).toThrow('ESRCH');
});

describe.each(['22', '24'])('Node %s', (version) => {
  test(
    'serves, connects and embeds',
    async (context) => {
      let program: string;
      try {
        const args = ['--yes', '--prefer-offline', `node@${version}`, '--print', 'process.execPath'];
        program = execFileSync('npx', args, { cwd: tmpdir(), encoding: 'utf8', stdio: 'pipe' }).trim();
      } catch (error) {
        return context.skip(`npx node@${version} can't be had: ${(error as Error).message.split('\n')[0]}`);
      }
      expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toMatch(new RegExp(`^v${version}\\.`));
      await expectAllToWork({ name: 'node', command: [program] });
    },
    DOWNLOAD_TIMEOUT_MS,
  );
});
