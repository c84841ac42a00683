// Compiles the engine from AssemblyScript to WebAssembly and wraps it as a TypeScript module, so that whatever loads the
// package (Node, Bun, Deno, a bundler) has the engine without reading a file at run time.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const directory = 'core/engine/swiss';
const wasmFile = 'dist/core/engine/swiss.wasm';

mkdirSync('dist/core/engine', { recursive: true });
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
  `// Made by scripts/build-engine.mjs from assembly/. Do not edit.\nexport const wasmBase64 =\n  '${base64}';\n`,
);
