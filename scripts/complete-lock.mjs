// Completes package-lock.json. npm leaves out optional packages for other platforms that its registry did not have when
// the lock was written, and `npm ci` then refuses the lock as out of step. They are named in `optionalDependencies`
// with their versions, so this adds what npm needs to pass over them here, and to fetch them where they fit.
import { readFileSync, writeFileSync } from 'node:fs';

const path = 'package-lock.json';
const lock = JSON.parse(readFileSync(path, 'utf8'));
const { '': root, ...packages } = lock.packages;
const present = Object.keys(packages);

for (const owner of Object.values(packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    if (present.some((key) => key.endsWith(`node_modules/${name}`))) continue;
    const { os, cpu, libc } = platformOf(name);
    packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(owner.dev && { dev: true }),
      ...(libc && { libc: [libc] }),
      optional: true,
      os: [os],
    };
  }
}

lock.packages = { '': root, ...Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))) };
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);

/** The platform a package is for, which its name ends in, as in `@scope/tool-linux-x64-musl`. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const find = (...known) => known.find((word) => words.includes(word));
  const os = find('android', 'darwin', 'linux', 'win32', 'windows');
  const cpu = find('arm64', 'armv7', 'arm', 'loong64', 'riscv64', 'x64');
  if (os === undefined || cpu === undefined) throw new Error(`can't tell the platform of ${name}`);
  return {
    os: os === 'windows' ? 'win32' : os,
    cpu: cpu === 'armv7' ? 'arm' : cpu,
    libc: find('musl', 'glibc'),
  };
}
