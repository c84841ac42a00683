// Bundles the script of the benchmark's page, with the charts' library, into one file beside the style sheet, so that what
// is installed needs neither the library nor a bundler. The licences of all that is in it stand at its head.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'rolldown';

const source = 'bench/report/browser';
const target = 'dist/bench/report/browser';

const { output } = await build({
  input: `${source}/main.ts`,
  output: { format: 'iife', minify: true },
  write: false,
});
const [{ code, moduleIds }] = output;
mkdirSync(target, { recursive: true });
writeFileSync(`${target}/page.js`, `/*!\n${licences(moduleIds)}\n*/\n${code}`);
copyFileSync(`${source}/page.css`, `${target}/page.css`);

/** The licence of each package, the same text once, below the names of those that have it. */
function licences(files) {
  const packages = new Map();
  for (const folder of new Set(files.filter((file) => file.includes('node_modules')).map(packageOf))) {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    if (file === undefined) throw new Error(`${name} has no licence in ${folder}`);
    const text = readFileSync(join(folder, file), 'utf8').trim().replaceAll('*/', '');
    packages.set(text, [...(packages.get(text) ?? []), `${name} ${version}`]);
  }
  return [...packages].map(([text, names]) => `${names.join(', ')}\n\n${text}`).join('\n\n');
}

function packageOf(file) {
  const folder = dirname(file);
  return existsSync(join(folder, 'package.json')) ? folder : packageOf(folder);
}
