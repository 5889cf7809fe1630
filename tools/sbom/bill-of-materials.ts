import { createHash } from 'node:crypto';
import type { Component, Dependency } from './component.ts';
import { debianComponents } from './debian-components.ts';
import { installedPackages, npmComponents, npmDependencies, type LockedPackages } from './npm-components.ts';

export interface BillSources {
  /** `packages` of package-lock.json. */
  readonly packages: LockedPackages;
  /** As npm writes it: `x64`, `arm64`. */
  readonly cpu: string;
  /** dpkg's `status` in the image; without it the bill is of the product alone. */
  readonly dpkgStatus?: string;
}

const distro = 'debian-12';

/**
 * What is in the image as CycloneDX 1.6. The same contents give the same bytes: there is no time in it, and its serial number
 * is made of what it lists.
 */
export function billOfMaterials({ packages, cpu, dpkgStatus }: BillSources): string {
  const root = packages[''];
  if (root === undefined) throw new Error('the lock file does not name the project');
  const installed = installedPackages(packages, cpu);
  const product: Component = {
    type: 'application',
    'bom-ref': `enclave-manager@${root.version}`,
    name: 'enclave-manager',
    version: root.version,
    licenses: [{ license: { id: 'Apache-2.0' } }],
    purl: `pkg:generic/enclave-manager@${root.version}`,
  };
  const components = unique([
    ...npmComponents(installed),
    ...(dpkgStatus === undefined ? [] : debianComponents(dpkgStatus, distro)),
  ]);
  const dependencies: Dependency[] = npmDependencies(root, product['bom-ref'], installed);
  const contents = { metadata: { component: product }, components, dependencies: merge(dependencies) };
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialNumber(contents),
    version: 1,
    ...contents,
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function unique(components: readonly Component[]): Component[] {
  const byReference = new Map(components.map((component) => [component['bom-ref'], component]));
  return [...byReference.values()].toSorted(byOrderOf(({ purl }) => purl));
}

/** One package at two places may find different versions of what it needs. */
function merge(dependencies: readonly Dependency[]): Dependency[] {
  const byReference = new Map<string, Set<string>>();
  for (const { ref, dependsOn } of dependencies)
    byReference.set(ref, new Set([...(byReference.get(ref) ?? []), ...dependsOn]));
  const merged = [...byReference].map(([ref, needed]) => ({ ref, dependsOn: [...needed].toSorted() }));
  return merged.toSorted(byOrderOf(({ ref }) => ref));
}

const byOrderOf =
  <T>(key: (value: T) => string) =>
  (one: T, other: T): number =>
    key(one) < key(other) ? -1 : Number(key(one) > key(other));

/** A UUID of version 8 (RFC 9562 §5.8): of a digest, not of chance. */
function serialNumber(contents: unknown): string {
  const bytes = createHash('sha256').update(JSON.stringify(contents)).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return `urn:uuid:${bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
}
