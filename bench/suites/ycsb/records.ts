/**
 * YCSB's records as values: one MessagePack map from `field0`, `field1`, … to texts of one length. All records are equally
 * long, so a request has its place for each field, and a reply can be checked without being decoded.
 */
import { Writer } from '../../../core/msgpack.ts';
import { Values } from '../../load/workload.ts';

export class Records {
  readonly fields: number;
  /** Length of a whole record. Unit: bytes. */
  readonly bytes: number;
  readonly #text: Values;
  /** A record whose texts are blank. */
  readonly #form: Uint8Array;
  /** Where in a record the text of each field starts. */
  readonly #starts: readonly number[];

  /** `fieldBytes` is the length of each text, at least 1. */
  constructor(fields: number, fieldBytes: number) {
    this.fields = fields;
    this.#text = new Values(fieldBytes);
    const blank = ' '.repeat(fieldBytes);
    const writer = new Writer();
    writer.mapHeader(fields);
    this.#starts = Array.from({ length: fields }, (_, field) => {
      writer.text(`field${field}`);
      writer.text(blank);
      return writer.length - fieldBytes;
    });
    this.#form = writer.copy();
    this.bytes = this.#form.length;
  }

  /** Writes a record at `offset` of `target`, all fields in this version. */
  write(target: Uint8Array, offset: number, record: number, version: number): void {
    target.set(this.#form, offset);
    for (let field = 0; field < this.fields; field++) this.writeField(target, offset, field, record, version);
  }

  /** Changes one field of the record that lies at `offset` of `target`. */
  writeField(target: Uint8Array, offset: number, field: number, record: number, version: number): void {
    this.#text.write(target, offset + this.#starts[field]!, record, version);
  }

  /** Whether what lies at `offset` is this record, each field in any version. */
  matches(bytes: Uint8Array, offset: number, record: number): boolean {
    return (
      this.hasForm(bytes, offset) && this.#starts.every((start) => this.#text.matches(bytes, offset + start, record))
    );
  }

  /** Whether what lies at `offset` is a record, whatever stands in its fields. */
  hasForm(bytes: Uint8Array, offset: number): boolean {
    if (bytes.length - offset < this.bytes) return false;
    let at = 0;
    for (const start of this.#starts) {
      for (; at < start; at++) if (bytes[offset + at] !== this.#form[at]) return false;
      at += this.#text.length;
    }
    return true;
  }
}
