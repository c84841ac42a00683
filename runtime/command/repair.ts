/** `ringkv repair`: cuts damaged logs where their damage begins, once it has told what they lose and was told to. */
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { planRepair, type RepairPlan, repair as repairLog } from '../../core/log/repair.ts';
import { type DataDirectory, openExistingDirectory, shardDirectory } from '../disk/data-directory.ts';
import { DirectoryDisk } from '../disk/directory.ts';
import { CommandError, ExitCode, messageOf } from './errors.ts';

/** Resolves to the exit code: 0 when all logs are whole now. `yes`: nobody is asked. */
export async function repair(path: string, yes: boolean): Promise<number> {
  try {
    const directory = await openExistingDirectory(path);
    try {
      return await repairDirectory(directory, yes);
    } finally {
      await directory.lock.release();
    }
  } catch (error) {
    throw new CommandError(messageOf(error), ExitCode.FAILED, { cause: error });
  }
}

async function repairDirectory({ path, shards }: DataDirectory, yes: boolean): Promise<number> {
  const plans: { disk: DirectoryDisk; plan: RepairPlan }[] = [];
  for (const slots of shards) {
    const disk = new DirectoryDisk(shardDirectory(path, slots));
    const plan = await planRepair(disk);
    if (plan === undefined) process.stdout.write(`${disk.path}: nothing is damaged\n`);
    else {
      process.stdout.write(describe(disk.path, plan));
      plans.push({ disk, plan });
    }
  }
  if (plans.length === 0) return ExitCode.OK;
  if (!yes && !(await isAgreed())) {
    process.stdout.write('Nothing was changed.\n');
    return ExitCode.FAILED;
  }
  for (const { disk, plan } of plans) {
    await repairLog(disk, plan).catch((error: unknown) => {
      throw new Error(`the repair of ${disk.path} has to be started again: ${messageOf(error)}`, { cause: error });
    });
  }
  process.stdout.write('Done. What was taken out is kept beside the logs, in files named .broken.\n');
  return ExitCode.OK;
}

function describe(path: string, { damage, losses }: RepairPlan): string {
  const lines = losses.map(({ file, offset, bytes, records }) => {
    const part = offset === 0 ? 'all of it' : `from offset ${offset} on`;
    return `  ${file.name}, ${part}: ${bytes} bytes${file.kind === 'log' ? `, ${records} whole records` : ''}`;
  });
  if (lines.length === 0) lines.push('  nothing that is there');
  return `${path}\n  ${damage.message}\nA repair takes out:\n${lines.join('\n')}\n`;
}

/** Asks, where there is somebody to answer. */
async function isAgreed(): Promise<boolean> {
  if (!process.stdin.isTTY) {
    process.stdout.write('Say --yes to do it.\n');
    return false;
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question('Do it? Type "yes": ')).trim() === 'yes';
  } catch {
    // Ctrl-C, or the end of what is typed.
    process.stdout.write('\n');
    return false;
  } finally {
    lines.close();
  }
}
