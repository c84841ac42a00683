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
  const cert = tlsCert && readPem(tlsCert, 'certificate', parseCertificates);
  const key = tlsKey && readPem(tlsKey, 'private key', (pem) => createPrivateKey(pem));
  const ca = tlsCa && readPem(tlsCa, 'certificate', parseCertificates);
  if (cert && key && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the key in ${tlsKey} is not that of the certificate in ${tlsCert}`);
  }
  return { cert, key, ca };
}

/** Why clients refuse a server's certificate at this time, in Unix milliseconds; undefined when its time is now. */
export function whyNotNow(cert: string, nowMs: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${validFrom}`;
  if (nowMs > Date.parse(validTo)) return `expired at ${validTo}`;
  return undefined;
}

function readPem(path: string, what: string, parse: (pem: string) => unknown): string {
  const pem = readSecret(path);
  try {
    parse(pem);
  } catch (cause) {
    throw new Error(`${path} holds no ${what} in PEM, or not all of it`, { cause });
  }
  return pem;
}

/** Throws when there is none, and when any is no certificate: of a file, TLS would take those before it, or on Deno none at all. */
function parseCertificates(pem: string): void {
  const blocks = [...pem.matchAll(/-----BEGIN ([^-]+)-----.*?-----END \1-----/gs)];
  const certificates = blocks.filter(([, label]) => label === 'CERTIFICATE');
  if (certificates.length === 0) throw new Error('no certificate begins there');
  if (blocks.length !== pem.split('-----BEGIN').length - 1) throw new Error('something has no end');
  for (const [block] of certificates) new X509Certificate(block);
}
