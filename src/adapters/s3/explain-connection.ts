/** What failed connections and bare status codes mean. */
import { denied, type Attempted, type Explanation, noSpace, unreachable, wrongRegion } from './explanation.ts';
import type { Failure } from './failures.ts';

export function explainConnection(attempted: Attempted, failure: Failure): Explanation | undefined {
  const { networkCode = '', problem, message } = failure;
  const { endpoint, proxy } = attempted.settings;
  const { hostname, protocol } = new URL(endpoint);
  const through = proxy === undefined ? '' : ' or ENCLAVE_MANAGER_S3_PROXY';
  if (problem === 'strange') {
    return unreachable(
      `what answers at ${endpoint} is not an object storage, or something between changes its replies`,
      `Check ENCLAVE_MANAGER_S3_ENDPOINT${through}; a web page instead of a reply comes from a proxy or a login page.`,
    );
  }
  if (['ENOTFOUND', 'EAI_AGAIN'].includes(networkCode)) {
    return unreachable(
      `the host ${hostname} of the endpoint is not known`,
      `Correct ENCLAVE_MANAGER_S3_ENDPOINT${through}; a bucket in front of the host: ENCLAVE_MANAGER_S3_ADDRESSING=path.`,
    );
  }
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(networkCode)) {
    return unreachable(
      `nothing answers at ${endpoint}`,
      `Check ENCLAVE_MANAGER_S3_ENDPOINT${through}, and that the store runs.`,
    );
  }
  if (protocol === 'https:' && (networkCode === 'EPROTO' || /wrong version number|packet length/i.test(message))) {
    return unreachable(
      `${endpoint} does not speak TLS`,
      'Write ENCLAVE_MANAGER_S3_ENDPOINT=http://… if the store has no TLS.',
    );
  }
  return certificateCodes.test(networkCode) ? untrusted(endpoint, networkCode) : undefined;
}

const certificateCodes = /^(?:CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

function untrusted(endpoint: string, networkCode: string): Explanation {
  if (networkCode === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return unreachable(
      `the certificate at ${endpoint} is for another host`,
      'Correct ENCLAVE_MANAGER_S3_ENDPOINT; where the bucket is part of the host name: ENCLAVE_MANAGER_S3_ADDRESSING=path.',
    );
  }
  const notToday = networkCode === 'CERT_HAS_EXPIRED' || networkCode === 'CERT_NOT_YET_VALID';
  return unreachable(
    `the certificate at ${endpoint} is ${notToday ? 'not valid today' : 'not trusted'}`,
    notToday
      ? 'Renew the certificate of the store, or set the clock of this host.'
      : 'Name the authority that signed it in ENCLAVE_MANAGER_S3_CA_FILE.',
  );
}

/** Where the store gave no code, as to a HEAD. */
export function explainStatus(attempted: Attempted, { status, headers }: Failure): Explanation | undefined {
  const { endpoint, bucket } = attempted.settings;
  const told = headers['x-amz-bucket-region'];
  if (status === 301 || (status === 400 && told !== undefined)) return wrongRegion(attempted, told);
  switch (status ?? 0) {
    case 403:
      return denied(attempted);
    case 404:
    case 405:
      return unreachable(
        `what answers at ${endpoint} does not know the bucket "${bucket}" in this style of address`,
        'Check ENCLAVE_MANAGER_S3_ENDPOINT and ENCLAVE_MANAGER_S3_ADDRESSING (path or virtual).',
      );
    case 407:
      return unreachable(
        'the proxy wants user and password',
        'Put them into ENCLAVE_MANAGER_S3_PROXY: http://user:password@host.',
      );
    case 507:
      return noSpace;
    default:
      return undefined;
  }
}
