import { type CredentialId, isUuid, type NodeId } from '#model/identifiers.ts';

/** Memberships and epochs have 32 bits. */
export const maxKeyringNumber = 0xffff_ffff;

/** Where a keyring document lies, relative to the repository root, and what its path says it is. */
export type KeyringPlace =
  | { readonly type: 'credential'; readonly nodeId: NodeId; readonly credentialId: CredentialId }
  | { readonly type: 'members'; readonly number: number }
  | { readonly type: 'epoch'; readonly epoch: number }
  | { readonly type: 'slot'; readonly epoch: number; readonly nodeId: NodeId; readonly credentialId: CredentialId };

export function keyringPath(place: KeyringPlace): string {
  switch (place.type) {
    case 'credential':
      return `keyring/nodes/${place.nodeId}/${place.credentialId}.json`;
    case 'members':
      return `keyring/members/${place.number}.json`;
    case 'epoch':
      return `keyring/epochs/${place.epoch}/epoch.json`;
    case 'slot':
      return `keyring/epochs/${place.epoch}/${place.nodeId}.${place.credentialId}.json`;
  }
}

/** The inverse of `keyringPath`; `undefined` for any other path. */
export function parseKeyringPath(path: string): KeyringPlace | undefined {
  if (path.length > 200) return undefined;
  const place = placeOf(path);
  return place !== undefined && keyringPath(place) === path ? place : undefined;
}

function placeOf(path: string): KeyringPlace | undefined {
  const [root, kind, first, second, ...rest] = path.replace(/\.json$/, '').split('/');
  if (root !== 'keyring' || first === undefined || rest.length > 0) return undefined;
  if (kind === 'members') return numbered(first, (number) => ({ type: 'members', number }));
  if (second === undefined) return undefined;
  if (kind === 'nodes') {
    return isUuid(first) && isUuid(second) ? { type: 'credential', nodeId: first, credentialId: second } : undefined;
  }
  if (kind !== 'epochs') return undefined;
  if (second === 'epoch') return numbered(first, (epoch) => ({ type: 'epoch', epoch }));
  const [nodeId = '', credentialId = ''] = second.split('.');
  if (!isUuid(nodeId) || !isUuid(credentialId)) return undefined;
  return numbered(first, (epoch) => ({ type: 'slot', epoch, nodeId, credentialId }));
}

function numbered(text: string, make: (value: number) => KeyringPlace): KeyringPlace | undefined {
  const value = Number(text);
  return /^[1-9]\d{0,9}$/.test(text) && value <= maxKeyringNumber ? make(value) : undefined;
}
