/** The file that a shard commits to, with the syncs on the transport's ring where it has one. */
import type { CommitFile } from '../../core/log/disk.ts';
import type { FileWriter } from '../../transports/transport.ts';
import type { DescriptorCommitFile } from '../disk/directory.ts';

/**
 * What has to be synced is written and synced through the ring, in its own turns. A write to the page cache alone is quickest
 * where it is, and so is everything once the ring is closed.
 */
export class RingCommitFile implements CommitFile {
  readonly #file: DescriptorCommitFile;
  readonly #files: () => FileWriter | undefined;

  constructor(file: DescriptorCommitFile, files: () => FileWriter | undefined) {
    this.#file = file;
    this.#files = files;
  }

  commit(offset: number, bytes: Uint8Array, sync: boolean, done: (error?: Error) => void): void {
    const files = this.#files();
    if (sync && files?.isOpen) files.write(this.#file.descriptor, offset, bytes, sync, done);
    else this.#file.commit(offset, bytes, sync, done);
  }

  close(): void {
    this.#file.close();
  }
}
