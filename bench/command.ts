/** The suites of `ringkv bench`. A suite's own folder has its command, whose code is loaded when it is called. */
import type { Command } from '../runtime/command/cli.ts';
import { reportCommand } from './report/command.ts';
import { studyCommand } from './study/command.ts';
import { aaCommand } from './suites/aa/command.ts';
import { besideCommand } from './suites/beside/command.ts';
import { blocksCommand } from './suites/blocks/command.ts';
import { compareCommand } from './suites/compare/command.ts';
import { connectionsCommand } from './suites/connections/command.ts';
import { directCommand } from './suites/direct/command.ts';
import { durabilityCommand } from './suites/durability/command.ts';
import { engineCommand } from './suites/engine/command.ts';
import { flameCommand } from './suites/flame/command.ts';
import { logCommand } from './suites/log/command.ts';
import { matrixCommand } from './suites/matrix/command.ts';
import { peersCommand } from './suites/peers/command.ts';
import { rateCommand } from './suites/rate/command.ts';
import { scaleCommand } from './suites/scale/command.ts';
import { startCommand } from './suites/start/command.ts';
import { sweepCommand } from './suites/sweep/command.ts';
import { syscallsCommand } from './suites/syscalls/command.ts';
import { tcpCommand } from './suites/tcp/command.ts';
import { writesCommand } from './suites/writes/command.ts';
import { ycsbCommand } from './suites/ycsb/command.ts';

export const benchCommands: readonly Command[] = [
  matrixCommand,
  directCommand,
  tcpCommand,
  writesCommand,
  ycsbCommand,
  blocksCommand,
  sweepCommand,
  connectionsCommand,
  besideCommand,
  durabilityCommand,
  engineCommand,
  flameCommand,
  logCommand,
  peersCommand,
  rateCommand,
  scaleCommand,
  startCommand,
  syscallsCommand,
  compareCommand,
  aaCommand,
  studyCommand,
  reportCommand,
];
