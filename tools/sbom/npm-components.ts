import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Component, Dependency } from './component.ts';

/** A package of npm's lock file (version 3), by its place: `node_modules/ajv/node_modules/fast-uri`. */
export interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  /** One word or several. */
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export type LockedPackages = Readonly<Record<string, LockedPackage>>;

export function readLockedPackages(directory: string): LockedPackages {
  const text = readFileSync(join(directory, 'package-lock.json'), 'utf8');
  return (JSON.parse(text) as { packages: LockedPackages }).packages;
}

/** The packages that `npm ci --omit=dev` installs on Linux with this processor, by place. */
export function installedPackages(packages: LockedPackages, cpu: string): Map<string, LockedPackage> {
  const runsHere = ({ os, cpu: processors }: LockedPackage): boolean =>
    [os ?? 'linux'].flat().includes('linux') && [processors ?? cpu].flat().includes(cpu);
  return new Map(
    Object.entries(packages).filter(([place, found]) => place !== '' && found.dev !== true && runsHere(found)),
  );
}

export function npmComponents(installed: ReadonlyMap<string, LockedPackage>): Component[] {
  return [...installed].map(([place, found]) => component(place, found));
}

function component(place: string, { version, integrity, license }: LockedPackage): Component {
  const [, group, name] = /(?:^|\/)node_modules\/(?:(@[^/]+)\/)?([^/@]+)$/.exec(place) ?? [];
  const [algorithm, digest] = integrity?.split('-', 2) ?? [];
  if (name === undefined || algorithm !== 'sha512' || digest === undefined || license === undefined)
    throw new Error(`the lock file names no SHA-512 or no licence for ${place}`);
  const purl = reference(place, version);
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name,
    version,
    hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    licenses: [/[ (]/.test(license) ? { expression: license } : { license: { id: license } }],
    purl,
  };
}

/** The package's URL (purl-spec); two places with the same package and version are one component. */
function reference(place: string, version: string): string {
  const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** Who needs whom, found as Node does: in the own `node_modules`, then in those above. */
export function npmDependencies(
  root: LockedPackage,
  rootReference: string,
  installed: ReadonlyMap<string, LockedPackage>,
) {
  const resolve = (from: string, name: string): string | undefined => {
    for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/')))) {
      const candidate = place === '' ? `node_modules/${name}` : `${place}/node_modules/${name}`;
      const found = installed.get(candidate);
      if (found !== undefined) return reference(candidate, found.version);
      if (place === '') return undefined;
    }
  };
  const dependency = (ref: string, place: string, found: LockedPackage): Dependency => {
    const names = Object.keys({ ...found.dependencies, ...found.optionalDependencies });
    const references = names.map((name) => resolve(place, name)).filter((each) => each !== undefined);
    return { ref, dependsOn: [...new Set(references)].toSorted() };
  };
  const ofPackages = [...installed].map(([place, found]) => dependency(reference(place, found.version), place, found));
  return [dependency(rootReference, '', root), ...ofPackages];
}
