/** The command as a user meets it: what it prints, how it ends, and what it refuses. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { connect, type RingkvError } from '../../runtime/client.ts';
import { createUringTransport } from '../../transports/uring.ts';
import { type Child, type Runtime, type RuntimeName, root, runtimes, startChild } from '../support/children.ts';
import { entry, node, type RunOptions, run, type ServerChild, startServe } from '../support/command.ts';
import { ScriptedServer } from '../support/scripted-server.ts';
import { atTerminal, hasPseudoTerminal, type Step, whyNoTerminal } from '../support/terminal.ts';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const bun = runtimes().find(({ name }) => name === 'bun');
const deno = runtimes().find(({ name }) => name === 'deno');
const uring = createUringTransport().availability();
/** What `serve` takes by itself, if it is not io_uring. */
const autoTransport = (runtime: RuntimeName): string => (uring.available ? 'uring' : runtime);

const children: Child[] = [];
const folders: string[] = [];

/** A server that is stopped after the test, whatever becomes of it. */
async function serve(args: readonly string[] = [], options: RunOptions = {}): Promise<ServerChild> {
  const server = await startServe(args, options);
  children.push(server.child);
  return server;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-command-'));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An open socket to a server's address. */
async function socketTo(address: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connectSocket({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  return socket;
}

function frame(operations: readonly (readonly unknown[])[]): Buffer {
  const payload = encode(operations);
  const header = Buffer.alloc(5, 0xce);
  header.writeUInt32BE(payload.length, 1);
  return Buffer.concat([header, payload]);
}

/** Resolves once nobody accepts connections at the address any more. */
async function untilRefused(address: string): Promise<void> {
  for (;;) {
    try {
      (await socketTo(address)).destroy();
    } catch {
      return;
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Leaves a big reply on its way: the server has executed the request, its client has read none of the answer. */
async function startBigReply(address: string): Promise<{ socket: Socket; replyBytes: number }> {
  const value = 'x'.repeat(1024 * 1024);
  const results = Array.from({ length: 8 }, () => value);
  const replyBytes = 5 + encode([true, ...results]).length;
  const socket = await socketTo(address);
  socket.pause();
  socket.write(frame([[Op.SET, 'big', value], ...results.map(() => [Op.GET, 'big'])]));
  await once(socket, 'readable');
  return { socket, replyBytes };
}

describe.each(runtimes())('serve on $name', (runtime) => {
  test('prints the ready line alone on stdout, and its own pid', async () => {
    const { child, ready } = await serve([], { runtime });
    const runtimeVersion = execFileSync(runtime.command[0]!, ['--version'], { encoding: 'utf8' });
    expect(ready).toEqual({
      version,
      address: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/),
      transport: autoTransport(runtime.name),
      runtime: `${runtime.name}/${/\d+\.\d+\.\d+/.exec(runtimeVersion)?.[0]}`,
      engine: 'swiss',
      pid: child.pid,
    });
    expect(child.stderr).toMatch(/nothing is kept on disk/);
    expect(await run(['shell', '--connect', ready.address, 'ping'])).toMatchObject({ code: 0, stdout: '"PONG"\n' });
    expect(await child.stop('SIGTERM')).toBe(0);
    expect(child.lines).toHaveLength(1);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0 after the replies in flight', async (signal) => {
    const { child, ready } = await serve([], { runtime });
    const { socket, replyBytes } = await startBigReply(ready.address);
    process.kill(child.pid, signal);
    await untilRefused(ready.address);
    let received = 0;
    socket.on('data', (bytes) => {
      received += bytes.length;
    });
    socket.resume();
    await once(socket, 'end');
    expect(received).toBe(replyBytes);
    expect(await child.exit).toBe(0);
  });

  test('a second signal ends it at once', async () => {
    const { child, ready } = await serve([], { runtime });
    const { socket } = await startBigReply(ready.address);
    process.kill(child.pid, 'SIGTERM');
    await untilRefused(ready.address);
    process.kill(child.pid, 'SIGINT');
    // Its client never takes the reply: only the second signal can have ended it.
    expect(await child.exit).toBe(130);
    socket.destroy();
  });

  test('goes on when nobody listens any more to what it tells', async () => {
    const tokenFile = join(temporaryFolder(), 'tokens');
    writeFileSync(tokenFile, 'the-token-of-yesterday');
    const { child, ready } = await serve(['--token-file', tokenFile], { runtime });
    child.leave('stderr');
    const isValid = (token: string): Promise<boolean> =>
      connect({ address: ready.address, token }).then(
        (client) => client.close().then(() => true),
        ({ code }: RingkvError) => {
          expect(code).toBe('AUTH');
          return false;
        },
      );
    // Once each is valid, a line says so; the first must not be the last.
    for (const day of ['today', 'tomorrow', 'one-day', 'some-day']) {
      writeFileSync(tokenFile, `the-token-of-${day}`);
      process.kill(ready.pid, 'SIGHUP');
      while (!(await isValid(`the-token-of-${day}`)));
    }
    expect(await child.stop()).toBe(0);
  });

  test('listens on a unix socket, which is gone afterwards', async () => {
    const path = join(temporaryFolder(), 'r.sock');
    const { child, ready } = await serve(['--listen', `unix:${path}`], { runtime });
    expect(ready.address).toBe(`unix:${path}`);
    expect(await run(['shell', '--connect', ready.address, 'count'])).toMatchObject({ code: 0, stdout: '0\n' });
    expect(await child.stop()).toBe(0);
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('says on one line that an address is in use, and ends with 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const outcome = await run(['serve', '--listen', `tcp://127.0.0.1:${port}`], { runtime });
    taken.close();
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(new RegExp(`^ringkv: .*127\\.0\\.0\\.1:${port}.*in use.*\n$`));
  });
});

test('a signal that comes while the log is read ends it with 0, before it is ready', async () => {
  const data = ['--data', temporaryFolder(), '--transport', 'node'];
  const { child, ready } = await serve(data);
  expect((await run(['shell', '--connect', ready.address, 'set', 'k', '1'])).code).toBe(0);
  expect(await child.stop()).toBe(0);
  const command = [process.execPath, '--import', join(root, 'test/support/endless-reads.mjs')];
  const again = startChild({ name: 'node', command }, entry, ['serve', ...data]);
  children.push(again);
  await again.waitForLine(/^reading$/);
  expect(await again.stop()).toBe(0);
  expect(again.lines.filter((line) => line.includes('ready'))).toEqual([]);
});

describe.skipIf(deno === undefined)('where io_uring can not be had', () => {
  const [program = '', ...args] = deno?.command ?? [];
  const runtime: Runtime = { name: 'deno', command: [program, ...args, '--deny-ffi'] };
  const [reason, remedy] =
    process.platform === 'linux'
      ? ['needs foreign functions: Deno may not call them', 'start it with --allow-ffi']
      : [`needs Linux; this is ${process.platform}`, "take the runtime's own sockets: --transport auto"];

  test('auto says why in one line, and takes the sockets of the runtime', async () => {
    const { child, ready } = await serve([], { runtime });
    expect(ready.transport).toBe('deno');
    expect(child.stderr).toContain(`ringkv serves by the transport deno, since io_uring ${reason}\n`);
    expect(await run(['shell', '--connect', ready.address, 'ping'])).toMatchObject({ code: 0, stdout: '"PONG"\n' });
  });

  test('uring says why in one line, and ends', async () => {
    const outcome = await run(['serve', '--transport', 'uring'], { runtime });
    expect(outcome).toEqual({
      code: 2,
      stdout: '',
      stderr: `ringkv: transport uring can't run here: it ${reason}; ${remedy}\n`,
    });
  });
});

describe.skipIf(bun === undefined)('serve --runtime bun, called under Node', () => {
  test('tells the pid of the process that serves, and passes signals and the exit code on', async () => {
    const { child, ready } = await serve(['--runtime', 'bun']);
    expect(ready).toMatchObject({ transport: autoTransport('bun'), runtime: expect.stringMatching(/^bun\//) });
    expect(ready.pid).not.toBe(child.pid);
    expect(isRunning(ready.pid)).toBe(true);
    expect(await child.stop('SIGTERM')).toBe(0);
    expect(isRunning(ready.pid)).toBe(false);
    expect(child.lines).toHaveLength(1);
  });

  test('one Ctrl-C that a terminal gives to both ends it with 0 all the same', async () => {
    const { child, ready } = await serve(['--runtime', 'bun']);
    process.kill(ready.pid, 'SIGINT');
    process.kill(child.pid, 'SIGINT');
    expect(await child.exit).toBe(0);
  });

  test('fails as the other runtime did', async () => {
    const outcome = await run(['serve', '--runtime', 'bun', '--listen', 'tcp://203.0.113.1:1']);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^ringkv: .*203\.0\.113\.1.*\n$/);
  });

  test('carries the bytes by the transport that was asked for', async () => {
    const { ready } = await serve(['--runtime', 'bun', '--transport', 'node']);
    expect(ready).toMatchObject({ transport: 'node', runtime: expect.stringMatching(/^bun\//) });
  });
});

describe('flags and variables', () => {
  test('a variable comes before the default and a flag before the variable', async () => {
    const env = { RINGKV_ENGINE: 'map', RINGKV_MAX_FRAME: '2m' };
    expect((await serve([], { env })).ready.engine).toBe('map');
    const { ready } = await serve(['--engine', 'swiss'], { env });
    expect(ready.engine).toBe('swiss');
    const { stdout } = await run(['shell', '--connect', ready.address, 'hello']);
    expect(JSON.parse(stdout)).toMatchObject({ maxFrame: 2 * 1024 ** 2, engine: 'swiss', version });
  });

  test('the limit of the memory reaches the engine', async () => {
    const { ready } = await serve(['--max-memory', '64m']);
    const { stdout } = await run(['shell', 'info'], { env: { RINGKV_CONNECT: ready.address } });
    expect(JSON.parse(stdout)).toMatchObject({ limitBytes: 64 * 1024 ** 2, pid: ready.pid });
  });

  const refusals: readonly [string[], RegExp, Record<string, string>?][] = [
    [['srve'], /unknown command srve, did you mean serve\?/],
    [['frobnicate'], /unknown command frobnicate; there are serve, shell, snapshot, doctor, repair, bench/],
    [['--transport', 'bun'], /unknown flag --transport/],
    [['serve', '--transprot', 'bun'], /unknown flag --transprot, did you mean --transport\?/],
    [['serve', '--engine', 'swis'], /--engine swis: expected swiss or map, did you mean swiss\?/],
    [['serve', '--max-memory', 'lots'], /--max-memory lots: expected a size from 1m to 3840m/],
    [['serve', '--listen'], /--listen needs a value: <address>/],
    [['serve', '--listen', 'localhost'], /--listen localhost: not an address/],
    [['serve', '--listen', 'memory:x'], /--listen memory:x: expected tcp/],
    [['serve', '--engine', 'map', '--engine', 'swiss'], /--engine is given twice/],
    [['serve', 'now'], /serve takes no argument: now/],
    [['serve'], /RINGKV_MAX_FRAME 1: expected a size from 1k to 64m/, { RINGKV_MAX_FRAME: '1' }],
    [['serve', '--transport', 'deno'], /transport deno can't run here: it needs Deno; this is Node .*--runtime deno/],
    [['serve', '--runtime', 'nod'], /--runtime nod: expected node, bun or deno, did you mean node\?/],
    [['shell', '--conect', 'x'], /unknown flag --conect, did you mean --connect\?/],
    [['bench', 'matrx'], /unknown command matrx, did you mean matrix\?/],
  ];
  test.each(refusals)('%j is refused with 2', async (args, message, env) => {
    const outcome = await run(args, env === undefined ? {} : { env });
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  // Deno throws what can't be written at whoever writes it.
  test.runIf(existsSync('/dev/full')).each(runtimes().filter(({ name }) => name !== 'deno'))(
    'output that can not be written is told on $name, with 1',
    ({ command }) => {
      const full = openSync('/dev/full', 'w');
      const [program, ...before] = command;
      const { status, stderr } = spawnSync(program!, [...before, entry, '--version'], {
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
      });
      closeSync(full);
      expect(stderr).toMatch(/^ringkv: can't write to stdout: .*ENOSPC.*\n$/);
      expect(status).toBe(1);
    },
  );

  test('output that nobody reads any more is no matter', () => {
    const [program, ...before] = node.command;
    const line = '("$@"; echo "ended with $?" >&2) | true';
    const { stderr } = spawnSync('sh', ['-c', line, 'sh', program!, ...before, entry, '--version'], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('ended with 1\n');
  });

  test('--version and --help', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `ringkv ${version}\n`, stderr: '' });
    const overview = await run(['--help']);
    expect(overview.code).toBe(0);
    for (const command of ['serve', 'shell', 'doctor', 'repair', 'bench'])
      expect(overview.stdout).toContain(`  ${command}`);
    const serveHelp = await run(['serve', '--help']);
    expect(serveHelp.code).toBe(0);
    for (const text of ['RINGKV_LISTEN', 'RINGKV_MAX_FRAME', 'tcp://127.0.0.1:7464', 'ringkv serve --runtime bun']) {
      expect(serveHelp.stdout).toContain(text);
    }
    for (const command of [['shell'], ['doctor'], ['bench'], ['bench', 'matrix']]) {
      const { code, stdout } = await run([...command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`$ ringkv ${command.join(' ')}`);
    }
  });
});

describe('shell', () => {
  let server: ServerChild;
  let connect: string[];

  beforeAll(async () => {
    server = await startServe();
    connect = ['--connect', server.ready.address];
  });
  afterAll(() => server.child.stop());

  const shell = (words: readonly string[], options: RunOptions = {}) => run(['shell', ...connect, ...words], options);

  test('one command as words, its reply as JSON', async () => {
    expect(await shell(['set', 'one', 'hello world'])).toEqual({ code: 0, stdout: 'true\n', stderr: '' });
    expect(await shell(['get', 'one'])).toEqual({ code: 0, stdout: '"hello world"\n', stderr: '' });
    expect(await shell(['set', 'json', '{"a": [1, 2]}', 'ttl', '10m'])).toMatchObject({ stdout: 'true\n' });
    expect(await shell(['get', 'json'])).toMatchObject({ stdout: '{"a":[1,2]}\n' });
    expect(await shell(['add', 'n', '-5'])).toMatchObject({ code: 0, stdout: '-5\n' });
    expect(await shell(['get', 'missing'])).toMatchObject({ code: 0, stdout: 'null\n' });
  });

  test('an error goes to stderr, and the code is 1', async () => {
    await shell(['set', 'text', 'abc']);
    expect(await shell(['add', 'text', '1'])).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: .*value is not an integer.*\n$/),
    });
    expect(await shell(['gte', 'a'])).toMatchObject({ code: 1, stderr: 'error: no command gte, did you mean get?\n' });
    expect((await shell(['quit'])).stderr).toBe('error: quit ends a shell that reads lines, and stands alone in one\n');
  });

  test('without a server: one line, and the code is 1', async () => {
    const outcome = await run(['shell', '--connect', 'tcp://127.0.0.1:1', 'ping']);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^ringkv: .*127\.0\.0\.1:1.*\n$/);
  });

  test('commands from a pipe, one per line', async () => {
    const input = '# a comment\nclear\nset p:1 "one two"\n\nset p:2 [1, 2]\nget p:1\nscan p:\ncount\n';
    const { code, stdout, stderr } = await shell([], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [cleared, first, second, got, ...rest] = stdout.trimEnd().split('\n');
    expect([cleared, first, second, got]).toEqual(['true', 'true', 'true', '"one two"']);
    expect(rest.slice(0, 2).sort()).toEqual(['"p:1"', '"p:2"']);
    expect(rest.slice(2)).toEqual(['2']);
  });

  test('a pipe goes on after an error, and ends with 1', async () => {
    const outcome = await shell([], { input: 'nonsense\nset a "open\nping 7\nquit\nping 8\n' });
    expect(outcome).toMatchObject({ code: 1, stdout: '7\n' });
    expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(2);
  });

  // For readline U+2028 is the end of a line, and so the middle of this value was a command.
  test.each(runtimes())(
    'a line from a pipe ends at \\n or \\r\\n alone, and the last one at the end, on $name',
    async (runtime) => {
      const value = `"é\u2028clear\u2029clear\u0085 ${'long '.repeat(50_000)}é"`;
      const input = `set kept 1\r\nset odd ${value}\nget odd\nget kept`;
      const { code, stdout, stderr } = await shell([], { runtime, input });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout.split('\n')).toEqual(['true', 'true', value, '1', '']);
    },
  );

  // It once gathered all keys first.
  test('scan prints keys as they come, and ends when nobody reads them any more', async () => {
    const scripted = await ScriptedServer.start();
    const child = startChild(node, entry, ['shell', '--connect', scripted.address, 'scan']);
    children.push(child);
    const connection = await scripted.greeted();
    const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`a key with a long name ${i}`));
    await connection.frame();
    connection.reply([[1, keys]]);
    await child.waitForLine(/^"a key with a long name 42"$/);
    child.leave('stdout');
    const answering = (async () => {
      for (;;) {
        await connection.frame();
        connection.reply([[1, keys]]);
      }
    })();
    await expect(answering).rejects.toThrow('the client has ended the connection');
    expect(await child.exit).toBe(1);
    await scripted.stop();
  });

  test.each(runtimes())('a long reply leaves $name whole before it ends', async (runtime) => {
    const text = 'long '.repeat(200_000);
    expect(await shell([], { input: `set long "${text}"\n` })).toMatchObject({ code: 0, stdout: 'true\n' });
    const { code, stdout } = await shell(['get', 'long'], { runtime });
    expect(code).toBe(0);
    expect(stdout.length).toBe(text.length + 3);
  });

  test('help needs no server', async () => {
    const outcome = await run(['shell', 'help', 'set']);
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/^set <key> <value>/) });
  });

  describe.skipIf(!hasPseudoTerminal)(`at a terminal${whyNoTerminal}`, () => {
    const talk = (runtime: Runtime, steps: readonly Step[], env: Record<string, string>, cwd?: string): string => {
      const { code, output } = atTerminal(steps, [...runtime.command, entry, 'shell', ...connect], { env, cwd });
      expect(code).toBe(0);
      return output;
    };

    test.each(['', 'state'])('history is where it is by default if XDG_STATE_HOME is no absolute path: %j', (given) => {
      const [home, cwd] = [temporaryFolder(), temporaryFolder()];
      talk(node, [['> ', 'quit\r']], { HOME: home, XDG_STATE_HOME: given }, cwd);
      expect(readFileSync(join(home, '.local/state/ringkv/history'), 'utf8')).toBe('quit\n');
      expect(readdirSync(cwd)).toEqual([]);
    });

    test.each(runtimes())('prompt, completion and history on $name', async (runtime) => {
      const state = temporaryFolder();
      const terminal = (steps: readonly Step[]): string => talk(runtime, steps, { XDG_STATE_HOME: state });

      const first = terminal([
        ['> ', 'set answer 42\r'],
        ['true\r\n', ''],
        ['> ', 'tak\t'],
        ['take ', 'answer\r'],
        ['\n42\r\n', ''],
        ['> ', 'nonsense\r'],
        ['no command nonsense', ''],
        ['> ', 'quit\r'],
      ]);
      expect(first).toContain(`connected to ${connect[1]}`);
      const history = join(state, 'ringkv', 'history');
      expect(readFileSync(history, 'utf8')).toBe('set answer 42\ntake answer\nnonsense\nquit\n');
      expect(statSync(history).mode & 0o777).toBe(0o600);

      const [up, controlD] = ['\u001b[A', '\u0004'];
      terminal([
        ['> ', up],
        ['quit', up],
        ['nonsense', up],
        ['take answer', up],
        ['set answer 42', '\r'],
        ['true\r\n', ''],
        ['> ', controlD],
      ]);
      expect(await shell(['get', 'answer'])).toMatchObject({ stdout: '42\n' });
    });
  });
});

describe('doctor', () => {
  test('tries every transport in every runtime', async () => {
    const { code, stdout } = await run(['doctor', '--json']);
    expect(code).toBe(0);
    const { runtimes: reports } = JSON.parse(stdout) as {
      runtimes: {
        name: string;
        path: string | null;
        problem: string | null;
        transports: { name: string; works: boolean }[];
        auto: string;
        ring: string | null;
      }[];
    };
    const found = reports.filter(({ path }) => path !== null);
    expect(found.map(({ name }) => name)).toEqual(runtimes().map(({ name }) => name));
    for (const { name, problem, transports, auto, ring } of found) {
      expect(problem).toBeNull();
      const working = transports.filter(({ works }) => works).map((transport) => transport.name);
      // Those that need what may be missing here say why; the others have to work.
      const certain = working.filter((transport) => transport !== 'uws' && transport !== 'uring');
      expect(certain).toEqual(name === 'node' ? ['node'] : ['node', name, `${name}-ws`]);
      expect(auto).toBe(autoTransport(name as RuntimeName));
      expect(working.includes('uring')).toBe(uring.available);
      expect(ring).toEqual(uring.available ? expect.stringMatching(/SINGLE_ISSUER.* \(Linux 6\.\d\)$/) : null);
    }
  });

  test('prints a table with the reasons', async () => {
    const { code, stdout } = await run(['doctor', '--runtime', 'node']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^node +works$/m);
    expect(stdout).toMatch(new RegExp(`^auto +${autoTransport('node')}$`, 'm'));
    expect(stdout).toMatch(/^\S+ \d+\.\d+\S*; io_uring: \S/m);
    expect(stdout).toMatch(/^bun on node: it needs Bun; this is Node /m);
  });
});
