// Runs a study whose steps are given as JSON, as the command does: what a test can't have the real suites do.
import process from 'node:process';
import { study } from '../../dist/bench/study/study.js';
import { currentRuntime } from '../../dist/runtime/choose.js';

const { steps, folder, entry } = JSON.parse(process.argv[2]);
process.exitCode = await study({ steps, folder, context: { runtime: currentRuntime(), entry } });
