/** What the host of an endpoint says about region and addressing. */
import type { S3Addressing } from '#model/s3-settings.ts';

export interface EndpointFacts {
  readonly region: string;
  readonly addressing: S3Addressing;
}

interface Provider {
  /** Its first group, where it has one, is the region. */
  readonly host: RegExp;
  readonly region?: string;
  readonly addressing?: S3Addressing;
}

const providers: readonly Provider[] = [
  { host: /^s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/, addressing: 'virtual' },
  { host: /^s3\.amazonaws\.com$/, addressing: 'virtual' },
  // Regional `eu-de`, cross-region `eu`, single data centre `ams03`; public, private and direct endpoints.
  { host: /^s3\.(?:private\.|direct\.)?([a-z0-9-]+)\.cloud-object-storage\.appdomain\.cloud$/ },
  { host: /^s3\.([a-z0-9-]+)\.(?:scw\.cloud|backblazeb2\.com|wasabisys\.com)$/ },
  { host: /^s3\.([a-z0-9-]+)\.io\.cloud\.ovh\.(?:net|us)$/ },
  { host: /^([a-z0-9-]+)\.(?:digitaloceanspaces|linodeobjects|your-objectstorage)\.com$/ },
  { host: /\.r2\.cloudflarestorage\.com$/, region: 'auto' },
  { host: /^storage\.googleapis\.com$/, region: 'auto' },
  // These two serve no path style.
  { host: /^oss-([a-z0-9-]+)\.aliyuncs\.com$/, addressing: 'virtual' },
  { host: /^cos\.([a-z0-9-]+)\.myqcloud\.com$/, addressing: 'virtual' },
];

/** Signatures need a region; stores that have none take this one. */
const defaultRegion = 'us-east-1';

export function readEndpoint(endpoint: string, bucket: string): EndpointFacts {
  const { hostname, protocol } = new URL(endpoint);
  const provider = providers.find(({ host }) => host.test(hostname));
  const region = provider?.region ?? provider?.host.exec(hostname)?.[1] ?? defaultRegion;
  // No certificate for *.host covers a bucket with a dot in its name.
  const dotted = protocol === 'https:' && bucket.includes('.');
  return { region, addressing: dotted ? 'path' : (provider?.addressing ?? 'path') };
}

export const amazonEndpoint = (region: string): string =>
  `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
