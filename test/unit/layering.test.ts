/** The layering of the design is enforced by the linter: these violations, planted in a copy of the folders, are found. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../support/children.ts';

interface Planted {
  readonly file: string;
  readonly source: string;
  /** The rule that has to refuse it; undefined for what is allowed. */
  readonly rule?: string;
}

const IMPORTS = 'lint/style/noRestrictedImports';
const GLOBALS = 'lint/style/noRestrictedGlobals';

const planted: readonly Planted[] = [
  { file: 'core/node-import.ts', source: "export { readFileSync } from 'node:fs';", rule: IMPORTS },
  { file: 'core/bun-import.ts', source: "export { dlopen } from 'bun:ffi';", rule: IMPORTS },
  { file: 'core/transport-import.ts', source: "export * from '../transports/node.ts';", rule: IMPORTS },
  {
    file: 'core/client/runtime-import.ts',
    source: "export const x = import('../../runtime/choose.ts');",
    rule: IMPORTS,
  },
  ...['Bun', 'Deno', 'process', 'console', 'setTimeout', 'globalThis', 'performance'].map((name) => ({
    file: `core/server/global-${name}.ts`,
    source: `export const x = ${name};`,
    rule: GLOBALS,
  })),
  { file: 'core/engine/clock.ts', source: 'export const x = Date.now();', rule: GLOBALS },
  { file: 'core/allowed.ts', source: "import { pack } from 'msgpackr';\nexport const x = pack(new TextEncoder());" },
  { file: 'transports/protocol-import.ts', source: "export * from '../core/protocol.ts';", rule: IMPORTS },
  { file: 'transports/uring/engine-import.ts', source: "export * from '../../core/engine/map.ts';", rule: IMPORTS },
  { file: 'transports/values.ts', source: "export { pack } from 'msgpackr';", rule: IMPORTS },
  { file: 'transports/server-import.ts', source: "export * from '../runtime/server.ts';", rule: IMPORTS },
  { file: 'transports/allowed.ts', source: "export type { Connection } from '../core/connection.ts';" },
  { file: 'runtime/bun.ts', source: "export * from '../core/protocol.ts';", rule: IMPORTS },
  { file: 'runtime/server.ts', source: "export * from '../core/server/shard.ts';" },
  { file: 'bench/engine-import.ts', source: "export * from '../core/engine/swiss.ts';", rule: IMPORTS },
  { file: 'bench/shard-import.ts', source: "export * from '../core/server/shard.ts';", rule: IMPORTS },
  { file: 'bench/allowed.ts', source: "export { connect } from '../runtime/client.ts';" },
];

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string };
}

describe('layering', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-layering-'));
  let diagnostics: readonly Diagnostic[] = [];

  beforeAll(() => {
    copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'));
    for (const { file, source } of planted) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `${source}\n`);
    }
    diagnostics = lint(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(planted)('$file: $rule', ({ file, rule }) => {
    const found = diagnostics.filter(({ location }) => location.path === file).map(({ category }) => category);
    expect(found).toEqual(rule === undefined ? [] : [rule]);
  });
});

/** Every diagnostic of the linter in a folder. It ends with 1 when there are any, which here is what is wanted. */
function lint(folder: string): readonly Diagnostic[] {
  const biome = join(root, 'node_modules/.bin/biome');
  const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=json', '.'];
  let report: string;
  try {
    report = execFileSync(biome, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    report = (error as { stdout: string }).stdout;
  }
  return (JSON.parse(report) as { diagnostics: readonly Diagnostic[] }).diagnostics;
}
