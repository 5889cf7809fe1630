// Why the pinned Node did not start: asked only then, because to ask takes longer than to print the help.
import { spawnSync } from 'node:child_process';
import { isMusl, root, whyNoNode } from './pinned-node.mjs';

/** As the shared libraries are called in Debian and Ubuntu, which the smallest images of lack the first. */
const debianPackages = { 'libatomic.so.1': 'libatomic1', 'libstdc++.so.6': 'libstdc++6', 'libgcc_s.so.1': 'libgcc-s1' };

/** `{ message, hint }` where the operating system could not start the file at all. */
export function whyNotSpawned(node, { message }) {
  return isMusl() ? whyNoNode() : { message: `${node} does not start: ${message}`, hint: `Run npm ci in ${root}.` };
}

/**
 * The same where its loader ended with 127, which the manager never does; `undefined` where it starts after all. The loader
 * is asked again, because what it said went to the terminal.
 */
export function whyNotLoaded(node) {
  const { status, stderr } = spawnSync(node, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  if (status === 0) return undefined;
  const library = /^[^\n]*: error while loading shared libraries: ([^\s:]+): cannot open/m.exec(stderr)?.[1];
  if (library !== undefined) {
    const inPackage = debianPackages[library] ? ` apt-get install ${debianPackages[library]}` : '';
    return {
      message: `the Node that comes with us does not start: the shared library ${library} is missing`,
      hint: inPackage ? `On Debian and Ubuntu:${inPackage}` : 'Install the package of your system that has it.',
    };
  }
  if (isMusl()) return whyNoNode();
  const said = stderr.trim().split('\n')[0].slice(0, 300) || 'it said nothing';
  return { message: `the Node that comes with us does not start: ${said}`, hint: `Look at it: ${node} --version` };
}
