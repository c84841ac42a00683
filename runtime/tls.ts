/** Certificates and keys, in the files where they are. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { TlsSecrets } from '../transports/transport.ts';
import { readSecret } from './tokens.ts';

/** Files in PEM. */
export interface TlsFiles {
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsCa?: string | undefined;
}

/** Reads the files; undefined when there are none. Throws an `Error` that names what is missing, or is no certificate or key. */
export function loadTls({ tlsCert, tlsKey, tlsCa }: TlsFiles): TlsSecrets | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new Error('a certificate and its key go together: --tls-cert and --tls-key');
  }
  const cert = tlsCert && readPem(tlsCert, 'certificate', (pem) => new X509Certificate(pem));
  const key = tlsKey && readPem(tlsKey, 'private key', (pem) => createPrivateKey(pem));
  const ca = tlsCa && readPem(tlsCa, 'certificate', (pem) => new X509Certificate(pem));
  if (cert && key && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the key in ${tlsKey} is not that of the certificate in ${tlsCert}`);
  }
  return { cert, key, ca };
}

function readPem(path: string, what: string, parse: (pem: string) => unknown): string {
  const pem = readSecret(path);
  try {
    parse(pem);
  } catch (cause) {
    throw new Error(`${path} holds no ${what} in PEM`, { cause });
  }
  return pem;
}
