import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import { S3Client } from '@aws-sdk/client-s3';
import { EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { S3Settings } from '#model/s3-settings.ts';
import { CheckedHandler } from './checked-handler.ts';
import type { Identity } from './credentials.ts';
import type { S3Limits } from './limits.ts';

/** The SDK with nothing left to its own defaults: no retries, no checksums that older stores refuse, no settings from files. */
export function openClient(settings: S3Settings, identity: Identity, limits: S3Limits): S3Client {
  const agent = agentOptions(settings, limits);
  return new S3Client({
    endpoint: settings.endpoint,
    region: settings.region,
    forcePathStyle: settings.addressing === 'path',
    credentials: identity,
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'legacy',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    useArnRegion: false,
    disableMultiregionAccessPoints: true,
    disableS3ExpressSessionAuth: true,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    requestHandler: new CheckedHandler(
      {
        connectionTimeout: limits.connectMs,
        socketTimeout: limits.idleMs,
        requestTimeout: limits.requestMs,
        throwOnRequestTimeout: true,
        // The requests that wait are counted by us.
        socketAcquisitionWarningTimeout: limits.requestMs,
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent({ ...agent, ...trustedCertificates(settings.caFile) }),
      },
      limits.requestMs,
    ),
  });
}

function agentOptions({ proxy }: S3Settings, { concurrency }: S3Limits) {
  const proxyEnv = proxy === undefined ? undefined : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
  return { keepAlive: true, maxSockets: concurrency, ...(proxyEnv === undefined ? {} : { proxyEnv }) };
}

function trustedCertificates(caFile: string | undefined): { ca?: string[] } {
  if (caFile === undefined) return {};
  try {
    const pem = readFileSync(caFile, 'utf8');
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new Error('it holds no PEM certificate');
    for (const block of blocks) void new X509Certificate(block);
    return { ca: [...getCACertificates('default'), pem] };
  } catch (error) {
    throw new EnclaveManagerError(
      'configuration',
      `ENCLAVE_MANAGER_S3_CA_FILE=${caFile} cannot be used: ${toEnclaveManagerError(error).message}`,
      { hint: 'Name a PEM file with the certificates of the authority that signed the endpoint’s.', cause: error },
    );
  }
}
