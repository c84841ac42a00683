/** The page of the benchmark, made by the command and looked at in a real browser; and the study that makes all of it. */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatValue } from '../../bench/report/format.ts';
import type { Dimensions, Report } from '../../bench/results/report.ts';
import { startChild } from '../support/children.ts';
import { launchChromium, whyNoChromium } from '../support/chromium.ts';
import { entry, node, run } from '../support/command.ts';
import { around, type Made, reportOf } from '../support/reports.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringkv-report-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the reports to files and makes the page of them. */
async function makePage(name: string, reports: readonly Report[]): Promise<string> {
  const files = reports.map((report) => {
    const file = join(folder, `${name}-${report.suite}.json`);
    writeFileSync(file, JSON.stringify(report));
    return file;
  });
  const output = join(folder, `${name}.html`);
  const { code, stderr, stdout } = await run(['bench', 'report', ...files, '-o', output]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(output);
  return output;
}

const servers: readonly Dimensions[] = [
  { transport: 'uring', runtime: 'bun' },
  { transport: 'bun', runtime: 'bun' },
  { transport: 'node', runtime: 'node' },
  { transport: 'deno-ws', runtime: 'deno' },
];

/** Every kind of chart: heat map, curves, bars, words in a grid. */
const reports: readonly Report[] = [
  reportOf(
    'matrix',
    servers.flatMap((server, at) =>
      [false, true].flatMap((control) =>
        [1, 16, 128, 512].map(
          (batch): Made => ({
            dimensions: { ...server, control, batch },
            figures: {
              serverMicrosPerOp: around((6 + at) / batch + (control ? 0 : 0.1)),
              opsPerSecond: around(1e5 * batch),
              p99Micros: around(500 + batch),
            },
          }),
        ),
      ),
    ),
    { skipped: [{ label: 'uring on node', reason: 'it needs something' }] },
  ),
  reportOf(
    'syscalls',
    servers.map((server, at) => ({
      dimensions: { ...server, operations: 1000, connections: 1 },
      figures: {
        serverCallsPerOp: around(3 + at),
        'serverCallsPerOp.read': around(2),
        'serverCallsPerOp.write': around(1 + at),
      },
    })),
  ),
  reportOf(
    'blocks',
    servers.flatMap((server) =>
      [64, 4096, 1 << 20].map((valueSize) => ({
        dimensions: { ...server, valueSize, workload: 'get' },
        figures: { valueBytesPerSecond: around(valueSize * 1e5), sendMeanMicros: around(5 + valueSize / 1000) },
        notes: { attribution: 'bound; for reasons', bound: valueSize > 10_000 ? 'memory copies' : 'syscalls' },
      })),
    ),
  ),
  reportOf(
    'start',
    ['node', 'bun'].map((runtime) => ({ dimensions: { runtime }, figures: { readyMillis: around(50) } })),
  ),
];

const reason = whyNoChromium();

describe.skipIf(reason !== undefined)(
  `the page in a browser${reason === undefined ? '' : `: skipped, ${reason}`}`,
  () => {
    let browser: Browser;
    let output: string;

    beforeAll(async () => {
      browser = await launchChromium();
      output = await makePage('whole', reports);
    });
    afterAll(() => browser?.close());

    /** The page, and all that a browser finds wrong with it. */
    async function open(file: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<[Page, string[]]> {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
      const problems: string[] = [];
      page.on('console', (message) => problems.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => problems.push(String(error)));
      page.on('dialog', (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on('request', (request) => {
        if (!request.url().startsWith('file:')) problems.push(`request: ${request.url()}`);
      });
      await page.goto(pathToFileURL(file).href);
      return [page, problems];
    }

    test('every chart is drawn, without an error and without the network', async () => {
      const [page, problems] = await open(output);
      const charts = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('[data-chart]')].map((figure) => ({
          id: figure.dataset.chart,
          plots: figure.querySelectorAll('svg.plot').length,
          marks: figure.querySelectorAll('svg.plot :is(path, rect)').length,
          rows: figure.querySelectorAll('details tbody tr').length,
        })),
      );
      expect(charts.map(({ id }) => id)).toEqual([
        ...['matrix-heat', 'matrix-cpu', 'matrix-throughput', 'matrix-added'],
        ...['syscalls-calls', 'syscalls-heat'],
        ...['blocks-get-throughput', 'blocks-get-bound', 'blocks-get-times', 'start-ready'],
      ]);
      for (const { id, plots, marks, rows } of charts) {
        expect(plots, id).toBeGreaterThan(0);
        expect(marks, id).toBeGreaterThan(1);
        expect(rows, id).toBeGreaterThan(1);
      }
      expect(problems).toEqual([]);
      expect(statSync(output).size).toBeLessThan(3_000_000);
      await page.close();
    });

    test('the figures in tables and charts are those of the JSON', async () => {
      const [page, problems] = await open(output);
      const matrix = reports[0]!;
      const inTable = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('[data-chart="matrix-cpu"] td[data-value]')].map(
          ({ dataset }) => dataset.value!,
        ),
      );
      const own = matrix.cells.filter(({ dimensions }) => dimensions.control === false);
      const medians = own.map(({ figures }) => figures.serverMicrosPerOp!.median);
      expect(inTable.map(Number).sort()).toEqual([...medians].sort());
      // What is drawn lies where its figure belongs: the axis is logarithmic, and all panels share it.
      const drawn = await page.evaluate(() =>
        [...document.querySelectorAll<SVGElement>('[data-chart="matrix-cpu"] [aria-label="dot"] > *')].map((dot) => ({
          label: dot.getAttribute('aria-label')!,
          y: Number(dot.getAttribute('cy') ?? /translate\([^,]+,([^)]+)\)/.exec(dot.getAttribute('transform')!)![1]),
        })),
      );
      expect(drawn).toHaveLength(own.length);
      const places = own.map(({ dimensions: { transport, batch }, figures }) => {
        const { median } = figures.serverMicrosPerOp!;
        const dot = drawn.find(
          ({ label }) => label.startsWith(`${transport} on `) && label.includes(`(batch ${batch})`),
        );
        return { log: Math.log(median), y: dot!.y };
      });
      const [first, last] = [places[0]!, places[3]!];
      const slope = (last.y - first.y) / (last.log - first.log);
      for (const { log, y } of places) expect(y - first.y).toBeCloseTo(slope * (log - first.log), 0);
      expect(problems).toEqual([]);
      await page.close();
    });

    test('the heat map shows another figure when asked', async () => {
      const [page, problems] = await open(output);
      const texts = () =>
        page.evaluate(() =>
          [...document.querySelectorAll('[data-chart="matrix-heat"] svg.plot [aria-label="text"] text')].map(
            ({ textContent }) => textContent,
          ),
        );
      const { serverMicrosPerOp, opsPerSecond } = reports[0]!.cells[0]!.figures;
      expect(await texts()).toContain(formatValue(serverMicrosPerOp!.median, 'µs'));
      await page.click('[data-chart="matrix-heat"] .switch label:nth-of-type(2)');
      expect(await texts()).toContain(formatValue(opsPerSecond!.median, ''));
      expect(problems).toEqual([]);
      await page.close();
    });

    test('pointing at a mark tells its figures', async () => {
      const [page] = await open(output);
      const dot = page.locator('[data-chart="matrix-cpu"] [aria-label="dot"] path').first();
      await dot.scrollIntoViewIfNeeded();
      await dot.hover({ force: true });
      const tip = page.locator('[data-chart="matrix-cpu"] [aria-label="tip"] text').first();
      expect(await tip.textContent()).toContain('server CPU per operation');
      await page.close();
    });

    test.each([1280, 400])('at %i pixels nothing is wider than the page, in either theme', async (width) => {
      const [page, problems] = await open(output, { viewport: { width, height: 900 } });
      const look = () =>
        page.evaluate(() => ({
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          paper: getComputedStyle(document.body).backgroundColor,
        }));
      const light = await look();
      await page.click('#theme');
      const dark = await look();
      expect([light.overflow, dark.overflow]).toEqual([0, 0]);
      expect(dark.paper).not.toBe(light.paper);
      await page.setViewportSize({ width: width === 400 ? 800 : 500, height: 900 });
      expect((await look()).overflow).toBe(0);
      expect(problems).toEqual([]);
      await page.close();
    });

    test('a hostile file gets no script into the page', async () => {
      const script = '</script><script>alert(1)</script><img src=x onerror=alert(2)>';
      const hostile = reportOf(
        `start${script}`,
        [script, `"onmouseover="alert(3)`].map((runtime) => ({
          dimensions: { runtime, [`x${script}`]: script } as Dimensions,
          figures: { [`y${script}`]: around(5) },
          notes: { attribution: script },
        })),
        {
          versions: { [script]: script },
          flags: { rounds: 7, seed: 1, [script]: [script] },
          skipped: [{ label: script, reason: script }],
          ringkv: script,
          git: { revision: script, modified: true },
          machine: { ...reports[0]!.machine, cpu: script, kernel: script, governor: script, platform: script },
        },
      );
      const blocks = reportOf('blocks', [
        {
          dimensions: { valueSize: 64, transport: script, workload: script },
          figures: { valueBytesPerSecond: around(1) },
          notes: { bound: script, attribution: script },
        },
      ]);
      const file = join(folder, 'hostile.json');
      writeFileSync(file, JSON.stringify(hostile));
      const [page, problems] = await open(await makePage('hostile', [{ ...hostile, suite: 'tomorrow' }, blocks]));
      const added = await page.evaluate(() => [
        document.querySelectorAll('script').length,
        document.querySelectorAll('img').length,
        document.querySelectorAll('[onerror], [onmouseover]').length,
        document.querySelectorAll('svg.plot').length > 0,
      ]);
      expect(added).toEqual([2, 0, 0, true]);
      expect(problems).toEqual([]);
      await page.close();
      const { code } = await run(['bench', 'report', file, '--output', join(folder, 'hostile-suite.html')]);
      const [other, otherProblems] = await open(join(folder, 'hostile-suite.html'));
      expect(await other.evaluate(() => document.querySelectorAll('script, img').length)).toBe(2);
      expect({ code, otherProblems }).toEqual({ code: 0, otherProblems: [] });
      await other.close();
    });
  },
);

test('report says what is wrong with a file, and writes nothing then', async () => {
  const file = join(folder, 'wrong.json');
  const output = join(folder, 'wrong.html');
  writeFileSync(file, JSON.stringify({ ...reports[0], cells: [{ dimensions: {}, figures: { a: 'b' } }] }));
  const wrong = await run(['bench', 'report', file, '-o', output]);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain(`${file}: cells[0].figures.a`);
  const missing = await run(['bench', 'report', join(folder, 'none.json'), '-o', output]);
  expect(missing.stderr).toContain('none.json');
  const none = await run(['bench', 'report', '-o', output]);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('report needs files') });
  expect(readdirSync(folder)).not.toContain('wrong.html');
});

describe('study', () => {
  const starts = ['--runtimes', 'node', '--rounds', '1'];
  const step = (suite: string, flags: readonly string[]) => ({ suite, flags, minutes: 1, minutesMax: 5 });

  test('goes on after a suite that fails, and makes the page of the others', async () => {
    const out = join(folder, 'study');
    const steps = [step('matrix', ['--keys', 'many']), step('start', starts)];
    const child = startChild(node, 'test/support/study-app.mjs', [JSON.stringify({ steps, folder: out, entry })]);
    child.stdin.end();
    expect(await child.exit).toBe(1);
    expect(readdirSync(out).sort()).toEqual(['report.html', 'start.json']);
    expect(child.lines.join('\n')).toMatch(/^matrix +failed with exit code 2 after /m);
    expect(child.lines.join('\n')).toMatch(/^start +[\d.]+ min +/m);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('data-chart="start-ready"');
  });

  test('a signal ends it, and keeps what was measured', async () => {
    const out = join(folder, 'ended');
    const steps = [step('start', ['--runtimes', 'node', '--rounds', '1000']), step('matrix', [])];
    const child = startChild(node, 'test/support/study-app.mjs', [JSON.stringify({ steps, folder: out, entry })]);
    child.stdin.end();
    await child.waitForLine(/^seed 1/);
    // A second server is started once the first was measured.
    const seen = new Set<number>();
    const sawTwo = (): boolean => {
      for (const pid of serversBelow(child.pid)) seen.add(pid);
      return seen.size > 1;
    };
    await expect.poll(sawTwo, { timeout: 40_000, interval: 10 }).toBe(true);
    expect(await child.stop('SIGINT')).toBe(130);
    const { interrupted, rounds } = JSON.parse(readFileSync(join(out, 'start.json'), 'utf8')) as Report;
    expect(interrupted).toBe(true);
    expect(rounds.length).toBeGreaterThan(0);
    expect(readdirSync(out).sort()).toEqual(['report.html', 'start.json']);
    expect(child.lines.join('\n')).not.toContain('== matrix');
  });

  test('does not write over another study', async () => {
    const out = join(folder, 'there');
    const file = join(out, 'start.json');
    mkdirSync(out);
    writeFileSync(file, 'kept');
    const { code, stderr } = await run(['bench', 'study', '--suites', 'start', '--out', out]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `ringkv: ${file} is there already; choose another folder by --out\n`,
    });
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });
});

/** The process ids of the servers that a process has started, itself or through others. */
function serversBelow(pid: number): number[] {
  let children: number[];
  try {
    const text = readdirSync(`/proc/${pid}/task`).map((task) => {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
    });
    children = text.join(' ').split(' ').filter(Boolean).map(Number);
  } catch {
    // It has ended meanwhile.
    return [];
  }
  return children.flatMap((child) => {
    const isServer = readCommandLine(child).includes('\0serve\0');
    return [...(isServer ? [child] : []), ...serversBelow(child)];
  });
}

function readCommandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
