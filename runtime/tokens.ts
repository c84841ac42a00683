/** The tokens that let clients in: where they are written, and how one that is brought is compared with them. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Access } from '../core/engine/engine.ts';
import type { Grant, Guard } from '../core/server/guard.ts';

/** Shortest and longest token, so that none can be guessed and every one fits where it has to. Unit: characters. */
export const TOKEN_LENGTH_MIN = 16;
export const TOKEN_LENGTH_MAX = 512;

/** Says in a line of a token file that the token behind it may only read. */
const READ_ONLY = 'read-only';

/** A token as the server keeps it: what it is can't be told from this. */
export type TokenHash = Grant;

/**
 * Reads tokens, one in a line: `TOKEN`, or `read-only TOKEN`. Empty lines, and what follows a `#` at the begin of a line, are
 * passed over. `source` is what the errors name; they never repeat a token. Throws an `Error` for a line that is none of
 * these, for a token that has another right before, here or in `others`, and when there is no token at all.
 */
export function parseTokens(text: string, source: string, others: readonly TokenHash[] = []): TokenHash[] {
  const tokens: TokenHash[] = [];
  const rights = new Map(others.map(({ digest, access }) => [nameOf(digest), access]));
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]!.startsWith('#')) continue;
    const access = words.length === 2 && words[0] === READ_ONLY ? Access.READ : Access.FULL;
    const token = words.at(-1)!;
    const where = `${source}, line ${index + 1}`;
    if (words.length > (access === Access.READ ? 2 : 1)) {
      throw new Error(`${where}: expected TOKEN or ${READ_ONLY} TOKEN, in one line each`);
    }
    if (token.length < TOKEN_LENGTH_MIN || token.length > TOKEN_LENGTH_MAX) {
      throw new Error(
        `${where}: a token has ${TOKEN_LENGTH_MIN} to ${TOKEN_LENGTH_MAX} characters, this one ${token.length}; ` +
          '"openssl rand -hex 32" makes one',
      );
    }
    const digest = hash(new TextEncoder().encode(token));
    const before = rights.get(nameOf(digest)) ?? access;
    if (before !== access) {
      throw new Error(
        `${where}: the same token has another right before; it is to be ${READ_ONLY} everywhere or nowhere`,
      );
    }
    rights.set(nameOf(digest), access);
    tokens.push({ access, digest });
  }
  if (tokens.length === 0) throw new Error(`${source} holds no token`);
  return tokens;
}

/** What errors name of `tokens` without a source. */
const GIVEN = 'the given tokens';

/** Where tokens are. */
export interface TokenSources {
  /** A file as `parseTokens` reads it. */
  readonly tokenFile?: string | undefined;
  /** What could be in such a file. */
  readonly tokens?: string | undefined;
  /** Where `tokens` is from, for the errors. Default: the given tokens. */
  readonly tokensSource?: string | undefined;
}

/** All tokens there are, undefined when none is asked for. Throws an `Error` that names what can't be read. */
export function loadTokens({ tokenFile, tokens, tokensSource }: TokenSources): TokenHash[] | undefined {
  if (tokenFile === undefined && tokens === undefined) return undefined;
  const ofFile = tokenFile === undefined ? [] : parseTokens(readSecret(tokenFile), tokenFile);
  const given = tokens === undefined ? [] : parseTokens(tokens, tokensSource ?? GIVEN, ofFile);
  return [...ofFile, ...given];
}

/** The first token of the file, or else of what was given, for a client; undefined without either. Throws as `loadTokens`. */
export function firstToken({ tokenFile, tokens, tokensSource = GIVEN }: TokenSources): string | undefined {
  const text = tokenFile === undefined ? tokens : readSecret(tokenFile);
  if (text === undefined) return undefined;
  parseTokens(text, tokenFile ?? tokensSource);
  const line = text.split(/\r?\n/).find((one) => !/^\s*(#|$)/.test(one))!;
  return line.trim().split(/\s+/).at(-1)!;
}

/** Lets in who brings one of these tokens. */
export function createGuard(tokens: readonly TokenHash[]): Guard {
  // Every token is compared, and each in the same time: of one that is nearly right nothing is to be told.
  const find = (digest: Uint8Array): TokenHash | undefined => {
    let found: TokenHash | undefined;
    for (const token of tokens) if (timingSafeEqual(token.digest, digest)) found = token;
    return found;
  };
  return { admit: (token) => find(hash(token)), renew: (grant) => find(grant.digest) };
}

function hash(token: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(token).digest());
}

function nameOf(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex');
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/** Reads a text file that the user has named. Throws an `Error` that names it. */
export function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`can't read ${path}: ${READ_ERRORS[code] ?? code}`, { cause: error });
  }
}
