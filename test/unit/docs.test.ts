/**
 * The pages that users read are true: the protocol's examples are run byte for byte, its tables compared with the code, the
 * programs and sessions of the README run, flags and links looked up.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportProblem } from '../../bench/results/validate.ts';
import { SILENCE_MAX_MS } from '../../core/client/channel.ts';
import { createMapEngine } from '../../core/engine/map.ts';
import { createSwissEngine } from '../../core/engine/swiss.ts';
import * as protocol from '../../core/protocol.ts';
import { OUTPUT_HIGH_WATER_BYTES } from '../../core/server/session.ts';
import { Shard } from '../../core/server/shard.ts';
import { connect } from '../../runtime/client.ts';
import type { Command } from '../../runtime/command/cli.ts';
import { commands } from '../../runtime/command/commands.ts';
import { flagName } from '../../runtime/command/flags.ts';
import { DEFAULT_CLOSE_GRACE_MS } from '../../runtime/server.ts';
import { createMemoryTransport } from '../../transports/memory.ts';
import { fromHex, hex } from '../support/bytes.ts';
import { root } from '../support/children.ts';
import { entry, node, type ServerChild, startServe } from '../support/command.ts';

const docs = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
const pages = ['README.md', 'CHANGELOG.md', ...docs.map((file) => `docs/${file}`)];
const texts: ReadonlyMap<string, string> = new Map(pages.map((page) => [page, readFileSync(join(root, page), 'utf8')]));

function textOf(page: string): string {
  return texts.get(page)!;
}

/** The blocks of a page that are fenced as `language`, each with the number of its first line. */
function blocks(page: string, language: string): { line: number; body: string }[] {
  const text = textOf(page);
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(({ index, 2: body }) => ({ line: text.slice(0, index).split('\n').length + 1, body: body! }));
}

/** The rows of all tables of a page whose first heading is this, cut into cells. */
function rows(page: string, heading: string): string[][] {
  const lines = textOf(page).split('\n');
  return lines.flatMap((line, at) => {
    if (!line.startsWith(`| ${heading} |`)) return [];
    const body = lines.slice(at + 2);
    const end = body.findIndex((row) => !row.startsWith('|'));
    return body.slice(0, end).map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  });
}

/** What stands between backquotes. */
function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}

/** The first number of a text, in which commas part the thousands. */
function firstNumber(text: string): number {
  return Number(/\d[\d,]*/.exec(text)![0].replaceAll(',', ''));
}

let server: ServerChild;
beforeAll(async () => {
  server = await startServe();
});
afterAll(async () => {
  await server?.child.stop();
});

describe('docs/protocol.md', () => {
  const page = 'docs/protocol.md';

  describe.each([createSwissEngine, createMapEngine])('its examples, by %o', (createEngine) => {
    test.each(blocks(page, 'wire'))('line $line', ({ body }) => runExample(body, createEngine));
  });

  test('its operations are those of the code', () => {
    const listed = rows(page, 'code')
      .filter(([code]) => /^\d+$/.test(code!))
      .map(([code, name]) => [name, Number(code)]);
    expect(Object.fromEntries(listed)).toEqual(protocol.Op);
  });

  test('its error codes are those of the code', () => {
    const listed = rows(page, 'code').flatMap(([code]) => quoted(code!));
    expect([...new Set(listed)].sort()).toEqual(Object.keys(protocol.ErrorCode).sort());
  });

  test("its flags of SET are the code's", () => {
    const listed = rows(page, 'flag').map(([flag]) => Number(flag));
    expect(listed).toEqual(Object.values(protocol.SetFlag));
  });

  test("its limits are the code's", () => {
    const limits = new Map(rows(page, 'what').map(([what, limit]) => [what!.split(/[:,]/)[0], limit!]));
    const limit = (what: string): number => firstNumber(limits.get(what) ?? '0');
    expect(limits.get('key')).toBe(`1 to ${protocol.MAX_KEY_BYTES.toLocaleString('en')} bytes`);
    expect(limit('value')).toBe(protocol.MAX_VALUE_DEPTH);
    expect(limit('payload of a request')).toBe(protocol.DEFAULT_MAX_FRAME_BYTES);
    expect(limit('operations in one frame')).toBe(protocol.MAX_FRAME_OPERATIONS);
    expect(limit('bytes of keys and values in one reply')).toBe(protocol.MAX_REPLY_BYTES);
    expect(limit('time to live')).toBe(protocol.MAX_TTL_MS);
    expect(textOf(page)).toContain(`more than ${protocol.MAX_SCAN_COUNT.toLocaleString('en')} counts as`);
    expect(textOf(page)).toContain(`more than ${OUTPUT_HIGH_WATER_BYTES.toLocaleString('en')} bytes of replies`);
    expect(textOf(page)).toContain(`After ${DEFAULT_CLOSE_GRACE_MS / 1000} seconds it cuts`);
  });

  test('its fields of HELLO and INFO are those that are answered', async () => {
    const client = await connect(server.ready.address);
    const fields = (heading: string): string[] => rows(page, heading).flatMap(([names]) => quoted(names!));
    expect(fields('field of HELLO').sort()).toEqual(Object.keys(await client.hello()).sort());
    expect(fields('field of INFO').sort()).toEqual(Object.keys(await client.info()).sort());
    await client.close();
  });
});

/**
 * Runs the lines of an example on a server of its own: `>` is sent, `<` has to come back, `< end` is the end of the server's
 * side, `~ N ms` lets time go by. Indented lines go on with the line before.
 */
async function runExample(body: string, createEngine: typeof createSwissEngine): Promise<void> {
  let nowMs = 1_000_000;
  const shard = new Shard({
    engine: createEngine(),
    identity: { version: '0.0.0', runtime: 'test/0', transport: 'memory' },
    now: () => nowMs,
    shards: () => [[0, 16_383, 'memory:docs']],
  });
  const transport = createMemoryTransport();
  const address = { kind: 'memory', name: 'docs' } as const;
  const listener = await transport.listen(address, shard);
  let received = '';
  let ended = false;
  const connection = await transport.connect(address, () => ({
    data: (bytes) => {
      received += hex(bytes);
    },
    drain: () => {},
    end: () => {
      ended = true;
    },
    close: () => {},
  }));
  for (const line of body.replaceAll(/#.*$/gm, '').replaceAll(/\n +/g, ' ').trim().split('\n')) {
    const [mark, rest] = [line[0], line.slice(1).trim()];
    if (mark === '>') connection.send(fromHex(rest));
    else if (mark === '~') nowMs += firstNumber(rest);
    else if (line === '< end') await expect.poll(() => ended).toBe(true);
    else if (mark === '<') {
      await expect.poll(() => received, { message: line, interval: 1 }).toBe(hex(fromHex(rest)));
      received = '';
    } else throw new Error(`what is ${line}`);
  }
  expect(ended).toBe(body.includes('< end'));
  connection.end();
  await listener.close(0);
  expect(received).toBe('');
}

test("the times of docs/client.md are the client's", () => {
  const text = textOf('docs/client.md').replaceAll(/\s+/g, ' ');
  expect(text).toContain(`nothing has come for ${SILENCE_MAX_MS / 1000} seconds`);
  const mbitPerSecond = (protocol.DEFAULT_MAX_FRAME_BYTES * 8) / SILENCE_MAX_MS / 1000;
  expect(text).toContain(`more than ${mbitPerSecond.toFixed(1)} Mbit/s`);
});

describe('docs/engine.md', () => {
  const stated: [file: string, constant: string, text: string][] = [
    ['batch', 'PARSED', 'up to 4,096'],
    ['batch', 'WINDOW', '256 at a time'],
    ['operation', 'OPERATION_BYTES', 'descriptor of 32 bytes'],
    ['table', 'GROUPS', '4 KiB, 64 groups'],
    ['table', 'GROUP_SLOTS', '12 tags'],
    ['blocks', 'FINE_BYTES_MAX', 'every 8 bytes from 16 to 128'],
    ['wheel', 'LEVELS', '8 levels of 64 slots'],
  ];

  test.each(stated)('what %s says of %s', (file, constant, text) => {
    const source = readFileSync(join(root, `core/engine/swiss/assembly/${file}.ts`), 'utf8');
    const value = new RegExp(`const ${constant}: u32 = ([\\d_]+);`).exec(source)?.[1]?.replaceAll('_', '');
    expect(textOf('docs/engine.md').replaceAll(/\s+/g, ' ')).toContain(text);
    expect(text.replaceAll(',', '').split(' ')).toContain(value);
  });
});

describe('programs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-docs-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const programs = pages.flatMap((page) => blocks(page, 'js').map((block) => ({ page, ...block })));

  test.each(programs)('$page, line $line, prints what its remarks say', async ({ line, body }) => {
    const client = await connect(server.ready.address);
    await client.clear();
    await client.close();
    const file = join(folder, `program-${line}.mjs`);
    const source = body
      .replaceAll(/'ringkv\/(\w+)'/g, (_, name) => `'${pathToFileURL(join(root, `dist/runtime/${name}.js`))}'`)
      .replaceAll('tcp://127.0.0.1:7464', server.ready.address);
    writeFileSync(file, source);
    const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
    const remarks = [...body.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, remark]) => remark);
    expect(remarks.length).toBe(body.split('console.log(').length - 1);
    expect(stdout.trimEnd().split('\n')).toEqual(remarks);
  });
});

describe('sessions', () => {
  const sessions = pages.flatMap((page) => blocks(page, 'console').map((block) => ({ page, ...block })));

  test.each(sessions)('$page, line $line, looks as it does', async ({ body }) => {
    const client = await connect(server.ready.address);
    await client.clear();
    await client.close();
    const exchanges = body.split(/^\$ /m).slice(1);
    expect(exchanges.length).toBeGreaterThan(0);
    for (const exchange of exchanges) {
      const [command, ...output] = exchange.trimEnd().split('\n');
      expect(anyVersion(await runShell(command!)), command).toBe(anyVersion(output.join('\n')));
    }
  });

  /** The versions of runtimes are those of this machine. */
  const anyVersion = (text: string): string => text.replaceAll(/\d+\.\d+\.\d+/g, 'N.N.N');

  /** Runs `npx ringkv …` as it is built, by the shell, and gives all it writes. The default address is the test's server. */
  async function runShell(command: string): Promise<string> {
    const script = `exec 2>&1; ${command.replaceAll(/\bnpx ringkv\b/g, '"$NODE" "$ENTRY"')}; exit 0`;
    const env = { ...process.env, NODE: node.command[0], ENTRY: entry, RINGKV_CONNECT: server.ready.address };
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { env, encoding: 'utf8' });
    return stdout.trimEnd();
  }

  test('the ready line of the README is one', () => {
    const ready = textOf('README.md')
      .split('\n')
      .filter((line) => line.includes(' ready '));
    expect(ready.length).toBeGreaterThan(0);
    const { version } = server.ready;
    const form = /^ringkv (\S+) ready tcp:\S+ transport=\w+ runtime=\w+\/[\d.]+ engine=\w+ pid=\d+ data=none$/;
    for (const line of ready) expect(form.exec(line)?.[1], line).toBe(version);
  });
});

describe('flags', () => {
  let known: ReadonlyMap<string, ReadonlySet<string>>;

  beforeAll(async () => {
    const all: [name: string, command: Command][] = [];
    for (const one of commands) {
      if (!('commands' in one)) all.push([one.name, one]);
      else for (const command of await one.commands()) all.push([`${one.name} ${command.name}`, command]);
    }
    known = new Map(
      all.map(([name, { flags }]) => [name, new Set(['help', 'version', ...Object.keys(flags).map(flagName)])]),
    );
  });

  const flagsOf = (text: string): string[] =>
    [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, name]) => name!);

  test.each(pages)('%s names none that is unknown', (page) => {
    const every = new Set([...known.values()].flatMap((flags) => [...flags]));
    expect(flagsOf(textOf(page)).filter((name) => !every.has(name))).toEqual([]);
  });

  test.each(pages)('%s gives every command its own', (page) => {
    const lines = textOf(page).matchAll(/(?:ringkv (serve|shell|doctor|repair|bench \w+)|npm start --) ([^\n`#]*)/g);
    for (const [line, name = 'serve', rest] of lines) {
      const own = known.get(name);
      expect(own, line).toBeDefined();
      expect(
        flagsOf(rest!).filter((flag) => !own!.has(flag)),
        line,
      ).toEqual([]);
    }
  });
});

describe('links', () => {
  const links = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target]) => ({ page, target: target! })),
  );

  test.each(links)('$page to $target', ({ page, target }) => {
    const [path, anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path!);
    expect(existsSync(join(root, file)), file).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(textOf(file))).toContain(anchor);
  });

  test('the README leads to every page', () => {
    const targets = links.filter(({ page }) => page === 'README.md').map(({ target }) => target.split('#')[0]);
    expect(pages.filter((page) => page !== 'README.md' && !targets.includes(page))).toEqual([]);
  });
});

/** The anchors that the headings of a page get. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('docs/study.md', () => {
  const folder = join(root, 'docs', 'study');

  test.each(readdirSync(folder).filter((file) => file.endsWith('.json')))('%s is a report of the benchmark', (file) => {
    expect(reportProblem(JSON.parse(readFileSync(join(folder, file), 'utf8')))).toBeUndefined();
  });

  test('has the tables that the reports make', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'scripts', 'study-tables.mjs')]);
    const tables = stdout.match(/(?:^\|.*\n)+/gm)!;
    expect(tables.length).toBeGreaterThan(3);
    for (const table of tables) expect(textOf('docs/study.md')).toContain(table);
  });
});
