import type { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId } from '#model/identifiers.ts';
import { type AuthenticDocument, authenticate } from './authenticity.ts';
import { type EpochRecord, type KeyHistory, readEpochRecord } from './generations.ts';
import { type KeyringEntry, reasonOf, type RejectedDocument } from './keyring-entry.ts';
import { keyringPath } from './keyring-paths.ts';
import type { MembersRecord } from './membership.ts';
import { credentialSchema, epochSchema, membersSchema, type SlotPayload, slotSchema } from './payloads.ts';

export interface SlotRecord {
  readonly entry: KeyringEntry;
  readonly payload: SlotPayload;
}

/** The part of a keyring that the cluster wrote. */
export interface AuthenticEntries {
  readonly entries: readonly KeyringEntry[];
  readonly members: readonly MembersRecord[];
  readonly slots: readonly SlotRecord[];
}

/** Epoch documents that are consistent in themselves; which of them are the cluster's, the history decides. */
export function readEpochRecords(
  entries: readonly KeyringEntry[],
  rejected: RejectedDocument[],
): readonly EpochRecord[] {
  return entries.flatMap((entry) => {
    if (entry.place.type !== 'epoch') return [];
    try {
      return [readEpochRecord(entry)];
    } catch (error) {
      rejected.push({ path: entry.path, reason: reasonOf(error) });
      return [];
    }
  });
}

/** Sets aside what is not authentic, or says of itself that it belongs to another path. */
export function authenticateEntries(
  clusterId: ClusterId,
  history: KeyHistory,
  candidates: readonly KeyringEntry[],
  rejected: RejectedDocument[],
): AuthenticEntries {
  const entries: KeyringEntry[] = [];
  const members: MembersRecord[] = [];
  const slots: SlotRecord[] = [];
  const alreadyRejected = new Set(rejected.map(({ path }) => path));
  for (const entry of candidates) {
    try {
      const record = readAuthentic(entry, authenticate(clusterId, history, entry.place.type, entry.bytes));
      if (record.type === 'members') members.push({ entry, payload: record.payload });
      else if (entries.at(-1)?.path === entry.path) throw duplicate(entry);
      else if (record.type === 'slot') slots.push({ entry, payload: record.payload });
      entries.push(entry);
    } catch (error) {
      const reason = reasonOf(error);
      if (!alreadyRejected.has(entry.path)) rejected.push({ path: entry.path, reason });
    }
  }
  return { entries, members, slots };
}

type AuthenticRecord =
  | { readonly type: 'credential' | 'epoch' }
  | { readonly type: 'members'; readonly payload: MembersRecord['payload'] }
  | { readonly type: 'slot'; readonly payload: SlotPayload };

function readAuthentic(entry: KeyringEntry, { payload, keyGeneration }: AuthenticDocument): AuthenticRecord {
  switch (entry.place.type) {
    case 'epoch': {
      const { epoch } = parse(epochSchema, entry, payload);
      checkPath(entry, keyringPath({ type: 'epoch', epoch }));
      return { type: 'epoch' };
    }
    case 'credential': {
      const { nodeId, credentialId } = parse(credentialSchema, entry, payload);
      checkPath(entry, keyringPath({ type: 'credential', nodeId, credentialId }));
      return { type: 'credential' };
    }
    case 'slot': {
      const slot = parse(slotSchema, entry, payload);
      checkPath(entry, keyringPath({ ...slot, type: 'slot' }));
      return { type: 'slot', payload: slot };
    }
    case 'members': {
      const members = parse(membersSchema, entry, payload);
      checkPath(entry, keyringPath({ type: 'members', number: members.number }));
      if (members.keyGeneration !== keyGeneration) {
        throw new EnclaveManagerError(
          'forged',
          `${entry.path} names key generation ${members.keyGeneration} and is signed by ${keyGeneration}.`,
        );
      }
      return { type: 'members', payload: members };
    }
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, entry: KeyringEntry, payload: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const type = entry.place.type;
  throw new EnclaveManagerError('damaged', `${entry.path} does not have the payload of a ${type} document.`);
}

function checkPath({ path }: KeyringEntry, signedPath: string): void {
  if (path === signedPath) return;
  throw new EnclaveManagerError('forged', `${path} holds the document that belongs at ${signedPath}.`);
}

function duplicate({ path }: KeyringEntry): EnclaveManagerError {
  return new EnclaveManagerError('forged', `Another authentic document stands at ${path} and was taken.`);
}
