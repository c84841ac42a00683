/** What the package says of itself in `package.json`: its version, and the runtimes it needs. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuntimeName } from './runtime.ts';

/** The folder of the package, absolute. This file runs from its sources and from `dist/`, at different depths of it. */
export const packageFolder = findPackageFolder(dirname(fileURLToPath(import.meta.url)));

const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly engines: Readonly<Record<RuntimeName, string>>;
};

export const packageVersion: string = manifest.version;

/** The oldest version of a runtime that will do, like `20.19`. */
export function oldestVersion(name: RuntimeName): string {
  return manifest.engines[name].replace('>=', '');
}

/** Whether a runtime of this version can run ringkv, by `engines` in `package.json`. */
export function isNewEnough(name: RuntimeName, version: string): boolean {
  const has = version.split('.').map((part) => Number.parseInt(part, 10));
  const needs = oldestVersion(name).split('.').map(Number);
  const differing = needs.findIndex((number, at) => number !== (has[at] ?? 0));
  return differing < 0 || (has[differing] ?? 0) > needs[differing]!;
}

function findPackageFolder(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findPackageFolder(dirname(folder));
}
