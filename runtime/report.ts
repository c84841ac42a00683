/** Telling an operator something, in one line. */
import process from 'node:process';

export function toStderr(line: string): void {
  process.stderr.write(`ringkv: ${line}\n`);
}

/** A program's own way to tell, of which nothing is thrown: who tells has something to go on with. What it throws goes to stderr. */
export function withoutThrowing(report: (line: string) => void): (line: string) => void {
  return (line) => {
    try {
      report(line);
    } catch (error) {
      toStderr(line);
      toStderr(`the report of this has failed: ${String(error)}`);
    }
  };
}
