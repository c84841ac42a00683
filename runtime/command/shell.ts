/** `ringkv shell`: one command, commands from a pipe, or a prompt with history and completion. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import process from 'node:process';
import { createInterface, type Interface } from 'node:readline';
import { formatAddress } from '../../transports/address.ts';
import type { TransportName } from '../../transports/transport.ts';
import { type Client, connect } from '../client.ts';
import { resolveEndpoint } from '../endpoint.ts';
import type { Runtime } from '../runtime.ts';
import { loadTls, type TlsFiles } from '../tls.ts';
import { firstToken } from '../tokens.ts';
import { CommandError, ExitCode, messageOf } from './errors.ts';
import { linesOf } from './lines.ts';
import { complete, formatHelp, formatReply, parseCommand, splitWords } from './shell-language.ts';

/** What is printed at a time of a reply that has no end yet. Unit: characters. */
const PRINT_CHARS = 16 * 1024;

/** Lines of history kept over sessions. */
const HISTORY_LINES = 1000;

export interface ShellOptions extends TlsFiles {
  /** Where the server is. Default: as of `ConnectOptions`. */
  readonly address: string | undefined;
  /** What carries the bytes. Default: as of `ConnectOptions`. */
  readonly transport: TransportName | undefined;
  /** Whose first token is brought. Default: the first of `RINGKV_TOKEN`, or none. */
  readonly tokenFile: string | undefined;
}

/**
 * Runs `words` as one command when there are any; else reads commands from stdin, with a prompt if a person sits there.
 * Resolves to the exit code.
 */
export async function shell(options: ShellOptions, words: readonly string[], runtime: Runtime): Promise<number> {
  if (words[0] === 'help') return printHelp(words[1]);
  const { tokenFile, address, transport } = options;
  const tokens = { tokenFile, tokens: runtime.env.RINGKV_TOKEN, tokensSource: 'RINGKV_TOKEN' };
  await using client = await open(() =>
    connect({ address, transport, tls: loadTls(options), token: firstToken(tokens) }),
  );
  if (words.length > 0) return (await runWords(client, words)) ? ExitCode.OK : ExitCode.FAILED;
  if (!process.stdin.isTTY) return await runPiped(client);
  const endpoint = resolveEndpoint(runtime.name, address, transport);
  return await runInteractive(client, formatAddress(endpoint.address), runtime);
}

async function open(attempt: () => Promise<Client>): Promise<Client> {
  try {
    return await attempt();
  } catch (error) {
    throw new CommandError(messageOf(error));
  }
}

/**
 * Runs the commands that stand on stdin, one per line; empty lines and lines that begin with `#` are passed over. Resolves
 * to the exit code: 1 when any of them failed.
 */
async function runPiped(client: Client): Promise<number> {
  let failures = 0;
  for await (const line of linesOf(process.stdin)) {
    if (line.trim().startsWith('#')) continue;
    const outcome = await runLine(client, line);
    if (outcome === 'quit') break;
    if (outcome === 'failed') failures++;
  }
  return failures === 0 ? ExitCode.OK : ExitCode.FAILED;
}

/** Talks with a person at a terminal until Ctrl-D, Ctrl-C or `quit`. Resolves to the exit code. */
async function runInteractive(client: Client, address: string, runtime: Runtime): Promise<number> {
  const historyFile = historyPath(runtime);
  process.stdout.write(`connected to ${address}; "help" lists the commands, Ctrl-D ends\n`);
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: `${address}> `,
    completer: complete,
    history: readHistory(historyFile),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
  });
  terminal.on('history', (newestFirst: string[]) => writeHistory(historyFile, newestFirst));
  await converse(client, terminal);
  return ExitCode.OK;
}

function converse(client: Client, terminal: Interface): Promise<void> {
  return new Promise((resolve) => {
    let ended = false;
    terminal.on('close', () => {
      ended = true;
      process.stdout.write('\n');
      resolve();
    });
    // Lines pasted together are answered one after the other, in their order.
    let previous = Promise.resolve();
    terminal.on('line', (line) => {
      previous = previous.then(async () => {
        const outcome = await runLine(client, line);
        if (ended) return;
        if (outcome === 'quit') terminal.close();
        else terminal.prompt();
      });
    });
    terminal.prompt();
  });
}

async function runLine(client: Client, line: string): Promise<'done' | 'failed' | 'quit'> {
  let words: string[];
  try {
    words = splitWords(line);
  } catch (error) {
    return complain(error);
  }
  if (words.length === 0) return 'done';
  if (words.length === 1 && (words[0] === 'quit' || words[0] === 'exit')) return 'quit';
  return (await runWords(client, words)) ? 'done' : 'failed';
}

/** The help needs no server. */
function printHelp(name: string | undefined): number {
  try {
    process.stdout.write(lines(formatHelp(name)));
    return ExitCode.OK;
  } catch (error) {
    complain(error);
    return ExitCode.FAILED;
  }
}

/** Prints the reply on stdout or the error on stderr. Resolves to whether it went well. */
async function runWords(client: Client, words: readonly string[]): Promise<boolean> {
  try {
    if (words[0] === 'help') process.stdout.write(lines(formatHelp(words[1])));
    else await print(formatReply(await parseCommand(words)(client)));
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

/** Writes lines as they come, many at a time, and no more than whoever reads them takes. */
async function print(texts: Iterable<string> | AsyncIterable<string>): Promise<void> {
  let text = '';
  for await (const line of texts) {
    text += `${line}\n`;
    if (text.length < PRINT_CHARS) continue;
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
    text = '';
  }
  process.stdout.write(text);
}

function complain(error: unknown): 'failed' {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  return 'failed';
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

// History

/** Where the XDG base directory specification puts a program's state: what is no absolute path is to be ignored. */
function historyPath(runtime: Runtime): string {
  const { XDG_STATE_HOME: given = '' } = runtime.env;
  return join(isAbsolute(given) ? given : join(homedir(), '.local', 'state'), 'ringkv', 'history');
}

/** The lines of earlier sessions, the newest first as readline wants them. */
function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .reverse();
  } catch {
    // The first session has none, and one that can't be read is not worth refusing to start.
    return [];
  }
}

/** Only for the user's own eyes: values may be secrets. */
function writeHistory(file: string, newestFirst: readonly string[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, lines(newestFirst.toReversed()), { mode: 0o600 });
  } catch {
    // A home that can't be written to costs the history, not the session.
  }
}
