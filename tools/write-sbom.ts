import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { projectRoot } from './checks/project-files.ts';
import { billOfMaterials } from './sbom/bill-of-materials.ts';
import { readLockedPackages } from './sbom/npm-components.ts';

/**
 * `npm run sbom -- --output FILE [--dpkg-status FILE]`: the bill of materials of the image that this checkout makes.
 * `--dpkg-status` is `/var/lib/dpkg/status` of the image, and adds what is from Debian. `npm run image` writes it itself.
 */
const { values } = parseArgs({ options: { output: { type: 'string' }, 'dpkg-status': { type: 'string' } } });
const { output, 'dpkg-status': statusFile } = values;
if (output === undefined) throw new Error('usage: npm run sbom -- --output FILE [--dpkg-status FILE]');
const debian = statusFile === undefined ? {} : { dpkgStatus: readFileSync(statusFile, 'utf8') };
writeFileSync(output, billOfMaterials({ packages: readLockedPackages(projectRoot), cpu: process.arch, ...debian }));
