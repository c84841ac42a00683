/** What a person at a terminal sees while it is measured: how far it is, and how long it will still take. */
import process from 'node:process';

const ERASE_LINE = '\r\u001b[K';

export class Progress {
  readonly #steps: number;
  readonly #startMs = performance.now();
  #done = 0;

  /** `steps` of about the same length are ahead. */
  constructor(steps: number) {
    this.#steps = steps;
  }

  /** A step starts; `what` says which. */
  show(what: string): void {
    const percent = Math.floor((this.#done / this.#steps) * 100);
    this.#write(`${ERASE_LINE}${percent} %  ${what}${this.#timeLeft()}`);
  }

  /** A step is over. */
  advance(): void {
    this.#done++;
  }

  /** Removes the line, so that what is printed next has it to itself. */
  clear(): void {
    this.#write(ERASE_LINE);
  }

  #timeLeft(): string {
    if (this.#done === 0) return '';
    const perStepMs = (performance.now() - this.#startMs) / this.#done;
    const seconds = Math.ceil((perStepMs * (this.#steps - this.#done)) / 1000);
    return seconds < 90 ? `  ${seconds} s left` : `  ${Math.round(seconds / 60)} min left`;
  }

  #write(text: string): void {
    if (process.stderr.isTTY) process.stderr.write(text);
  }
}
