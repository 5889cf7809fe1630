import { createHash } from 'node:crypto';
import type { PutObjectRetentionCommand } from '@aws-sdk/client-s3';

export const md5Of = (body: string | Uint8Array): string => createHash('md5').update(body).digest('base64');

/** The SDK gives such requests a CRC32 that many stores do not know; all of them know, and some demand, Content-MD5. */
export function useContentMd5(stack: PutObjectRetentionCommand['middlewareStack']): void {
  stack.add(
    (next) => async (parameters) => {
      const { request } = parameters;
      if (hasHeaders(request) && typeof request.body === 'string') {
        for (const name of Object.keys(request.headers)) if (checksumHeader.test(name)) delete request.headers[name];
        request.headers['content-md5'] = md5Of(request.body);
      }
      return await next(parameters);
    },
    // After the SDK's own checksum, before the signature.
    { step: 'build', priority: 'low', name: 'useContentMd5' },
  );
}

const checksumHeader = /^x-amz-(?:checksum-|sdk-checksum-algorithm$)/i;

/** A request in the SDK's middleware, whose type it does not tell. */
export function hasHeaders(request: unknown): request is { readonly headers: Record<string, string>; body?: unknown } {
  return request instanceof Object && 'headers' in request && request.headers instanceof Object;
}
