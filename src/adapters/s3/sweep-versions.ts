import { DeleteObjectCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import type { Asking } from './asking.ts';

interface Version {
  readonly key: string;
  readonly version: string | undefined;
}

/** A check puts a few dozen objects. */
const maxPages = 10;

/** Removes every version below the place; resolves with the keys of those that stay. */
export async function sweepVersions(asking: Asking, place: string): Promise<string[]> {
  for (const { key, version } of await versionsBelow(asking, place)) {
    const object = { Bucket: asking.bucket, Key: key, ...(version === undefined ? {} : { VersionId: version }) };
    await asking.askDeleting((client) => client.send(new DeleteObjectCommand(object)));
  }
  const left = await versionsBelow(asking, place);
  return [...new Set(left.map(({ key }) => key))];
}

/** Where versions may not be listed, or there are none, the objects themselves. */
async function versionsBelow(asking: Asking, place: string): Promise<Version[]> {
  const found: Version[] = [];
  const where = { Bucket: asking.bucket, Prefix: asking.keyOf(place) };
  for (let page = 0, marker: { KeyMarker?: string; VersionIdMarker?: string } = {}; page < maxPages; page += 1) {
    const current = marker;
    const answer = await asking.askDeleting((client) =>
      client.send(new ListObjectVersionsCommand({ ...where, ...current })),
    );
    if ('refusal' in answer) return await objectsBelow(asking, where);
    const {
      Versions: versions = [],
      DeleteMarkers: markers = [],
      IsTruncated: more,
      NextKeyMarker: next,
    } = answer.reply;
    for (const { Key: key, VersionId: version } of [...versions, ...markers]) {
      if (key !== undefined) found.push({ key, version: version === 'null' ? undefined : version });
    }
    if (more !== true || next === undefined) break;
    const { NextVersionIdMarker: nextVersion } = answer.reply;
    marker = { KeyMarker: next, ...(nextVersion === undefined ? {} : { VersionIdMarker: nextVersion }) };
  }
  return found;
}

async function objectsBelow(asking: Asking, where: { Bucket: string; Prefix: string }): Promise<Version[]> {
  const answer = await asking.ask((client) => client.send(new ListObjectsV2Command(where)));
  if ('refusal' in answer) return [];
  return (answer.reply.Contents ?? []).flatMap(({ Key: key }) =>
    key === undefined ? [] : [{ key, version: undefined }],
  );
}
