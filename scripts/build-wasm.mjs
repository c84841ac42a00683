// Compiles AssemblyScript to WebAssembly and wraps it as a TypeScript module, so that whatever loads the package (Node, Bun,
// Deno, a bundler) has it without reading a file at run time.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import asc from 'assemblyscript/asc';

const directory = 'core/engine/swiss';
const wasmFile = `dist/${directory}.wasm`;
mkdirSync(dirname(wasmFile), { recursive: true });
const { error, stderr } = await asc.main([
  `${directory}/assembly/index.ts`,
  ...['--outFile', wasmFile, '--runtime', 'stub', '--noAssert', '--use', 'abort='],
  ...['--enable', 'simd,bulk-memory', '--optimizeLevel', '3', '--shrinkLevel', '0', '--converge'],
]);
if (error) {
  process.stderr.write(stderr.toString());
  process.exit(1);
}

const base64 = readFileSync(wasmFile).toString('base64');
writeFileSync(
  `${directory}/wasm.ts`,
  `// Made by scripts/build-wasm.mjs from assembly/. Do not edit.\nexport const wasmBase64 =\n  '${base64}';\n`,
);
