import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OperationFailed } from './attempts.ts';
import { explainCode } from './explain-code.ts';
import { explainConnection, explainStatus } from './explain-connection.ts';
import { type Attempted, unreachable } from './explanation.ts';
import type { Failure } from './failures.ts';

/** The typed error at the end of an operation: it says which setting is wrong, and what was seen. */
export function explain(failed: OperationFailed, attempted: Attempted): EnclaveManagerError {
  const { failure, attempts } = failed;
  const { code, what, hint } =
    explainCode(attempted, failure) ??
    explainConnection(attempted, failure) ??
    explainStatus(attempted, failure) ??
    unreachable(
      `the object storage at ${attempted.settings.endpoint} does not answer as it should`,
      'Check ENCLAVE_MANAGER_S3_ENDPOINT and the network, then run the command again: repository check.',
    );
  const times = attempts === 1 ? '' : `, ${attempts} times`;
  const refused = attempted.refusedCredentials;
  const also = refused === undefined ? '' : ` Changed credentials were tried and refused: ${refused}.`;
  const message = `${attempted.action} ${attempted.location}${attempted.key}: ${what} (${seen(failure)}${times})`;
  return new EnclaveManagerError(code, message, { hint: hint + also, cause: failed });
}

/** Code and status as the store gave them, else what the connection did. */
function seen({ code, status, networkCode, message }: Failure): string {
  const parts = [code ?? networkCode, status === undefined ? undefined : `status ${status}`, message];
  return parts
    .filter((part, index) => part !== undefined && part !== 'UnknownError' && parts.indexOf(part) === index)
    .join(', ');
}
