/** The file that a shard commits to, with the syncs on the transport's ring where it has one. */
import type { CommitFile } from '../../core/log/disk.ts';
import type { FileWriter } from '../../transports/transport.ts';
import type { DescriptorCommitFile } from '../disk/directory.ts';

/**
 * What has to be synced is written and synced through the ring, in its own turns. A write to the page cache alone is quickest
 * where it is, and so is everything once the ring is closed. As long as every write was made durable, the next has to be for
 * nothing but its own bytes.
 */
export class RingCommitFile implements CommitFile {
  readonly #file: DescriptorCommitFile;
  readonly #files: () => FileWriter | undefined;
  /** Something was written without a sync. What syncs it later is not kept: a policy that does so does it all along. */
  #needsAll = false;

  constructor(file: DescriptorCommitFile, files: () => FileWriter | undefined) {
    this.#file = file;
    this.#files = files;
  }

  commit(offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void {
    const files = this.#files();
    if (sync && files?.isOpen) {
      const durable = this.#needsAll || bytes.length === 0 ? 'file' : 'write';
      files.write(this.#file.descriptor, offset, bytes, durable, done);
    } else {
      this.#needsAll ||= !sync;
      this.#file.commit(offset, bytes, sync, done);
    }
  }

  close(): void {
    this.#file.close();
  }
}
