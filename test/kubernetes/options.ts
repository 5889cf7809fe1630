import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../../tools/checks/project-files.ts';

const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };

export interface Options {
  readonly managerImage: string;
  readonly databaseImage: string;
  /** An address of this machine that pods reach: an S3 server is started there. */
  readonly storageAddress: string | undefined;
  /** An S3 server that is there already; its keys come from the environment. */
  readonly s3Endpoint: string | undefined;
  /** Directory of the hosts for their state. */
  readonly statePath: string;
  readonly keep: boolean;
}

export function parseOptions(parameters: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      'manager-image': { ...text, default: `localhost/enclave-manager:${version}` },
      'database-image': { ...text, default: 'localhost/enclaveos-database-test:15' },
      'storage-address': text,
      's3-endpoint': text,
      'state-path': { ...text, default: '/var/lib/enclave-manager' },
      keep: { type: 'boolean', default: false },
    },
  });
  const { 'storage-address': storageAddress, 's3-endpoint': s3Endpoint } = values;
  if ((storageAddress === undefined) === (s3Endpoint === undefined))
    throw new Error(
      'say either --storage-address ADDRESS, an address of this machine that pods reach, or --s3-endpoint URL',
    );
  return {
    managerImage: values['manager-image'],
    databaseImage: values['database-image'],
    storageAddress,
    s3Endpoint,
    statePath: values['state-path'],
    keep: values.keep,
  };
}
