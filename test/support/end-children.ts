/** Runs in every test file: what it has started is gone when its last test is over, whatever became of that. */
import { afterAll } from 'vitest';
import { endChildren } from './children.ts';

afterAll(endChildren);
