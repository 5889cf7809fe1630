import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName } from '#errors/file-system-error.ts';
import { maxQuoteBytes } from '#attestation/quote-layout.ts';

const sealKeyBytes = 16;
const reportDataBytes = 64;
const hint =
  'Run the manager under Gramine with sgx.remote_attestation = "dcap", or choose another provider: ENCLAVE_MANAGER_SEALING.';

/** The pseudo-files with which Gramine gives an enclave its keys and quotes (Gramine documentation, "Attestation and Secret Provisioning"). */
export class AttestationFiles {
  readonly #directory: string;
  /** Report data and quote are two files of one conversation. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The key that the processor derives for enclaves of the same signer, at the versions of now. */
  async sealKey(): Promise<Buffer> {
    const key = await this.#read('keys/_sgx_mrsigner', sealKeyBytes + 1);
    if (key.length === sealKeyBytes) return key;
    throw unavailable(`${this.#directory}/keys/_sgx_mrsigner has ${key.length} bytes instead of ${sealKeyBytes}`);
  }

  /** A quote over 64 bytes of report data. */
  async quote(reportData: Buffer): Promise<Buffer> {
    if (reportData.length !== reportDataBytes) throw new RangeError(`report data has ${reportDataBytes} bytes`);
    const quote = this.#turn.then(async () => {
      const type = (await this.#read('attestation_type', 64)).toString('latin1').trim();
      if (type !== 'dcap') {
        throw unavailable(`${this.#directory}/attestation_type is "${type}": this enclave has no DCAP attestation`);
      }
      await this.#write('user_report_data', reportData);
      return await this.#read('quote', maxQuoteBytes);
    });
    this.#turn = quote.catch(() => {});
    return await quote;
  }

  async #read(name: string, maxBytes: number): Promise<Buffer> {
    return await this.#with(name, 'r', async (file) => {
      const bytes = Buffer.alloc(maxBytes);
      let length = 0;
      while (length < maxBytes) {
        const { bytesRead } = await file.read(bytes, length, maxBytes - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return bytes.subarray(0, length);
    });
  }

  async #write(name: string, bytes: Buffer): Promise<void> {
    await this.#with(name, 'r+', async (file) => await file.write(bytes, 0, bytes.length, 0));
  }

  async #with<T>(
    name: string,
    flags: string,
    work: (file: Awaited<ReturnType<typeof open>>) => Promise<T>,
  ): Promise<T> {
    const path = join(this.#directory, name);
    try {
      const file = await open(path, flags);
      try {
        return await work(file);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isEnclaveManagerError(error) || errnoName(error) === undefined) throw error;
      throw unavailable(`the SGX attestation file ${path} cannot be used: ${errnoName(error)}`, error);
    }
  }
}

export const unavailable = (message: string, cause?: unknown): EnclaveManagerError =>
  new EnclaveManagerError('sealing-unavailable', message, { hint, cause });
