/** Tells the clock by which `bench flame` finds the samples of its window. Plain JavaScript, because it runs under every runtime. */
import process from 'node:process';
import { monotonicMicros } from '../../dist/bench/suites/flame/runtime-profiler.js';

process.stdout.write(String(monotonicMicros()));
