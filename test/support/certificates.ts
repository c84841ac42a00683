/** Certificates for tests, made by openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** Makes `name.pem` and `name.key` in `folder`, for this machine, signed by `ca` of the same folder, or by itself as an authority. */
export function certify(folder: string, name: string, ca?: string): void {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  const subject = ['-subj', `/CN=${name}`];
  if (ca === undefined) {
    openssl('req', '-x509', ...key, '-out', `${name}.pem`, ...subject, '-days', '2');
    return;
  }
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  openssl('req', ...key, '-out', `${name}.csr`, ...subject);
  const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-extfile', 'extensions'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`, '-days', '2');
}
