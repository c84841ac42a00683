/** Certificates for tests, made by openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** Why what needs certificates is skipped, for a title; empty when it is not. */
export const whyNoOpenssl = hasOpenssl ? '' : ': skipped, openssl is missing, which Debian has in the package openssl';

/** A certificate of this machine's, and its key, for a test file whose peers do not ask who has signed it. */
export function serverCertificate(): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ringkv-certificate-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  certify(folder, 'server');
  return { cert: join(folder, 'server.pem'), key: join(folder, 'server.key') };
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

/**
 * Makes `name.pem` and `name.key` in `folder`, for this machine, signed by `ca` of the same folder, or by itself as an authority.
 * `newKey`: what openssl is told about the key. `names`: whom a certificate that is signed by `ca` is for, as openssl has them.
 */
export function certify(
  folder: string,
  name: string,
  ca?: string,
  newKey: readonly string[] = EC_KEY,
  names = 'DNS:localhost,IP:127.0.0.1',
): void {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = [...newKey, '-nodes', '-keyout', `${name}.key`];
  const subject = ['-subj', `/CN=${name}`];
  if (ca === undefined) {
    openssl('req', '-x509', ...key, '-out', `${name}.pem`, ...subject, '-days', '2');
    return;
  }
  writeFileSync(join(folder, 'extensions'), `subjectAltName=${names}`);
  openssl('req', ...key, '-out', `${name}.csr`, ...subject);
  const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-extfile', 'extensions'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`, '-days', '2');
}

/** What `openssl ca` has to be told of. */
const AUTHORITY = `[ca]
default_ca = authority
[authority]
database = database
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
[names]
commonName = supplied
`;

/** Makes `name.pem` and `name.key` in `folder`, signed by itself, of the year 2020. */
export function expire(folder: string, name: string): void {
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  for (const [file, content] of Object.entries({ authority: AUTHORITY, database: '', serial: '01' })) {
    writeFileSync(join(folder, file), content);
  }
  openssl('req', ...EC_KEY, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  const year = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z'];
  const signer = ['-selfsign', '-config', 'authority', '-keyfile', `${name}.key`];
  openssl('ca', '-batch', '-notext', ...signer, '-in', `${name}.csr`, ...year, '-out', `${name}.pem`);
}
