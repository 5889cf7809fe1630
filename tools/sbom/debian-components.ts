import type { Component } from './component.ts';

/** The installed packages by dpkg's file `status`; `distro` is the Debian release they are from. */
export function debianComponents(status: string, distro: string): Component[] {
  const paragraphs = status.trim().split(/\n\n+/).map(readParagraph);
  return paragraphs
    .filter((fields) => fields.get('Status') === 'install ok installed')
    .map((fields) => component(fields, distro));
}

/** The fields of a paragraph; continued lines are left out. */
function readParagraph(text: string): Map<string, string> {
  const fields = text.split('\n').map((line) => /^([A-Za-z-]+): (.*)$/.exec(line));
  return new Map(fields.flatMap((field) => (field === null ? [] : [[field[1]!, field[2]!] as const])));
}

function component(fields: ReadonlyMap<string, string>, distro: string): Component {
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((field) => fields.get(field));
  if (name === undefined || version === undefined || architecture === undefined)
    throw new Error(`dpkg names a package without name, version or architecture: ${name}`);
  const encoded = [name, version].map((text) => encodeURIComponent(text));
  const purl = `pkg:deb/debian/${encoded.join('@')}?arch=${architecture}&distro=${distro}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl };
}
