import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePlatform, type MadeTerms } from '#attestation/made-platform.fixture.ts';

/** What the processor and the enclave are, in terms of a quote. */
export type Enclave = Pick<MadeTerms, 'ppid' | 'cpuSvn' | 'mrSigner' | 'isvSvn'>;

/**
 * A directory with the files that Gramine gives an enclave. The seal key depends on processor, signer and versions as the
 * processor's does; the quote is over the report data given, not over what was written.
 */
export class GramineDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'gramine-'));
  enclave: Enclave;

  constructor(enclave: Enclave) {
    this.enclave = enclave;
    mkdirSync(join(this.path, 'keys'));
    writeFileSync(join(this.path, 'attestation_type'), 'dcap');
    writeFileSync(join(this.path, 'user_report_data'), Buffer.alloc(64));
    this.change({});
  }

  /** As a microcode update, a new enclave or another board would. */
  change(changes: Partial<Enclave>): void {
    this.enclave = { ...this.enclave, ...changes };
    const { ppid, cpuSvn, mrSigner, isvSvn } = this.enclave;
    const key = createHash('sha256').update(ppid).update(cpuSvn).update(mrSigner).update(String(isvSvn)).digest();
    writeFileSync(join(this.path, 'keys', '_sgx_mrsigner'), key.subarray(0, 16));
    writeFileSync(join(this.path, 'quote'), makePlatform({ ...this.enclave, reportData: Buffer.alloc(64) }).quote);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
