import { unavailable } from './tpm-device.ts';

/** TPM 2.0 Part 2, chapter 6.6. */
export const responseCodes = {
  success: 0,
  initialize: 0x100,
  failure: 0x101,
  objectMemory: 0x902,
  sessionMemory: 0x903,
  yielded: 0x908,
  testing: 0x90a,
  lockout: 0x921,
  retry: 0x922,
} as const;

/** The error number of a format-one code, without the handle, parameter or session that it is about. */
const formatOneErrors = { authFail: 0x08e, badAuth: 0x0a2, handle: 0x08b, policyFail: 0x09d } as const;

/** A TPM that answered, and refused. */
export class TpmRefusal extends Error {
  readonly responseCode: number;

  constructor(command: string, responseCode: number) {
    super(`the TPM refused ${command}: 0x${responseCode.toString(16)}`);
    this.name = 'TpmRefusal';
    this.responseCode = responseCode;
  }

  /** `undefined` for codes of the other format. */
  get error(): number | undefined {
    return (this.responseCode & 0x80) === 0 ? undefined : this.responseCode & 0xbf;
  }

  /**
   * About what the command brought, such as a key that this TPM did not make or a policy that is not met; the other codes are
   * about the TPM itself: out of memory, locked, failed.
   */
  get isAboutInput(): boolean {
    return this.error !== undefined;
  }
}

const passing: readonly number[] = [responseCodes.yielded, responseCodes.testing, responseCodes.retry];

export const isPassing = (responseCode: number): boolean => passing.includes(responseCode);

/** A refusal that says nothing about the sealed bytes. */
export function refusalAsUnavailable(refusal: TpmRefusal): Error {
  const { error, message } = refusal;
  if (error === formatOneErrors.authFail || error === formatOneErrors.badAuth) {
    return unavailable(
      `${message}: its owner or endorsement hierarchy has a password`,
      'Enclave Manager works with an empty one: remove it (tpm2_changeauth), or set ENCLAVE_MANAGER_SEALING.',
      refusal,
    );
  }
  return unavailable(message, 'Restart the host; if it stays, look up the code: tpm2_rc_decode CODE.', refusal);
}
