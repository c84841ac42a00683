/** The answer in sentences, computed from the data. What was not measured, or does not differ, is told as that. */
import type { Report } from '../results/report.ts';
import { blocksAnswers, syscallsAnswers } from './answers/kernel.ts';
import { peersAnswers, rateAnswers, scaleAnswers, ycsbAnswers } from './answers/load.ts';
import { matrixAnswers } from './answers/matrix.ts';
import { directAnswers, tcpAnswers, writesAnswers } from './answers/stores.ts';
import { ALL_UNSURE, UNSURE } from './words.ts';

export interface Answer {
  /** Its words, as a heading. */
  readonly question: string;
  readonly sentences: readonly string[];
}

const ANSWERS: Readonly<Record<string, (report: Report) => readonly Answer[]>> = {
  matrix: matrixAnswers,
  syscalls: syscallsAnswers,
  blocks: blocksAnswers,
  rate: rateAnswers,
  peers: peersAnswers,
  ycsb: ycsbAnswers,
  scale: scaleAnswers,
  tcp: tcpAnswers,
  direct: directAnswers,
  writes: writesAnswers,
};

/** The answers of these reports, of different suites, in the order of the questions; those to the same one together. */
export function answer(reports: readonly Report[]): readonly Answer[] {
  const all = reports.flatMap((report) => (Object.hasOwn(ANSWERS, report.suite) ? ANSWERS[report.suite]!(report) : []));
  const questions = [...new Set(all.map(({ question }) => question))];
  return questions
    .map((question) => ({
      question,
      sentences: unsureOnce(all.filter((one) => one.question === question).flatMap(({ sentences }) => sentences)),
    }))
    .filter(({ sentences }) => sentences.length > 0);
}

/** What would be said at the end of each sentence is said once, at the end of all. */
function unsureOnce(sentences: readonly string[]): readonly string[] {
  if (sentences.length < 2 || !sentences.every((sentence) => sentence.endsWith(UNSURE))) return sentences;
  return [...sentences.map((sentence) => sentence.slice(0, -UNSURE.length)), ALL_UNSURE];
}
