/** What `ringkv/browser` brings into a page: nothing of Node, Bun or Deno, wherever it is imported. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../support/children.ts';

/** The modules that a source file imports when it is loaded; types leave nothing behind. */
function importsOf(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\s(?!type\s)[^;]*?from\s+'([^']+)';|^import\s+'([^']+)';/gms);
  return Array.from(statements, ([, from, bare]) => from ?? bare ?? '');
}

test('the import graph of the browser entry has no module of a runtime', () => {
  const files = new Set([join(root, 'runtime/browser.ts')]);
  const packages = new Set<string>();
  for (const file of files) {
    for (const name of importsOf(readFileSync(file, 'utf8'))) {
      if (name.startsWith('.')) files.add(join(dirname(file), name));
      else packages.add(name);
    }
  }
  const names = Array.from(files, (file) => relative(root, file));
  expect(names).toContain('transports/websocket.ts');
  expect(names).toContain('core/client/link.ts');
  expect(names.filter((name) => /^transports\/(node|bun|deno|uws|serving)/.test(name))).toEqual([]);
  expect([...packages].sort()).toEqual(['msgpackr']);
});
