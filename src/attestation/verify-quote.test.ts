import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import oracle, { js_verify as oracleVerify } from '@phala/dcap-qvl-web';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { collateralSchema, type Collateral } from './collateral.ts';
import { madeAt, makePlatform, type MadeTerms } from './made-platform.fixture.ts';
import { verifyQuote, type VerifiedQuote } from './verify-quote.ts';

const vectors = new URL('../../test/vectors/dcap/', import.meta.url);
const sample = (name: 'sgx' | 'tdx') => ({
  quote: readFileSync(new URL(`${name}_quote`, vectors)),
  collateral: collateralSchema.parse(
    JSON.parse(readFileSync(new URL(`${name}_quote_collateral.json`, vectors), 'utf8')),
  ),
});
const inTime = new Date('2025-06-20T00:00:00Z');
const [sgx, tdx] = [sample('sgx'), sample('tdx')];

const reasonOf = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (error) {
    if (isEnclaveManagerError(error, 'evidence-rejected')) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('verifyQuote with quotes of real platforms', () => {
  it('accepts the SGX quote with its level, advisories and platform', () => {
    const { verdict, platform, body } = verifyQuote(sgx.quote, sgx.collateral, inTime);
    expect(verdict.status).toBe('ConfigurationAndSWHardeningNeeded');
    expect(verdict.advisoryIds).toHaveLength(2);
    expect(platform.ppid.toString('hex')).toMatch(/^d04ec06d/);
    expect(platform).toMatchObject({ fmspc: '00a067110000', pceId: '0000' });
    expect(body.tee).toBe('sgx');
  });

  it('accepts the TDX quote as up to date', () => {
    const { verdict, body } = verifyQuote(tdx.quote, tdx.collateral, inTime);
    expect([verdict, body.tee]).toEqual([{ status: 'UpToDate', advisoryIds: [] }, 'tdx']);
  });

  it.each([
    ['before the collateral was issued', '2025-06-19T00:00:00Z', /is not in force before 2025-06-19/],
    ['after it ran out', '2025-08-01T00:00:00Z', /is out of date since 2025-07/],
  ])('refuses both %s', (_, now, reason) => {
    for (const { quote, collateral } of [sgx, tdx]) {
      expect(reasonOf(() => verifyQuote(quote, collateral, new Date(now)))).toMatch(reason);
    }
  });

  it('refuses the collateral of another platform, or parts of it', () => {
    const parts = ['pck_crl', 'pck_crl_issuer_chain', 'tcb_info', 'tcb_info_signature', 'qe_identity'] as const;
    for (const part of parts) {
      const mixed = { ...sgx.collateral, [part]: tdx.collateral[part] };
      expect(
        reasonOf(() => verifyQuote(sgx.quote, mixed, inTime)),
        part,
      ).not.toBe('accepted');
    }
    expect(reasonOf(() => verifyQuote(sgx.quote, tdx.collateral, inTime))).not.toBe('accepted');
  });

  it('refuses empty and swapped revocation lists', () => {
    const { root_ca_crl, pck_crl } = sgx.collateral;
    const refuse = (lists: Partial<Collateral>) =>
      reasonOf(() => verifyQuote(sgx.quote, { ...sgx.collateral, ...lists }, inTime));
    expect(refuse({ root_ca_crl: '' })).toMatch(/something else where hex must be/);
    expect(refuse({ pck_crl: '3000' })).toMatch(/does not have three parts/);
    expect(refuse({ root_ca_crl: pck_crl, pck_crl: root_ca_crl })).toMatch(/is not signed by Intel SGX Root CA/);
  });
});

describe('verifyQuote beside another implementation', () => {
  beforeAll(async () => {
    const require = createRequire(import.meta.url);
    await oracle({ module_or_path: readFileSync(require.resolve('@phala/dcap-qvl-web/dcap-qvl-web_bg.wasm')) });
  });

  const asked = (quote: Buffer, collateral: Collateral): string => {
    try {
      const { status } = oracleVerify(quote, collateral, BigInt(inTime.getTime() / 1000)) as { status: string };
      return status;
    } catch {
      return 'rejected';
    }
  };
  const ours = (quote: Buffer, collateral: Collateral): string => {
    let verified: VerifiedQuote | undefined;
    const reason = reasonOf(() => (verified = verifyQuote(quote, collateral, inTime)));
    return reason === 'accepted' ? verified!.verdict.status : 'rejected';
  };

  it('agrees on the samples', () => {
    for (const { quote, collateral } of [sgx, tdx]) expect(ours(quote, collateral)).toBe(asked(quote, collateral));
  });

  it('believes nothing else of a quote with a flipped bit, and refuses what the other refuses before the certificates', () => {
    const believed = new Map([sgx, tdx].map((from) => [from, verifyQuote(from.quote, from.collateral, inTime)]));
    const certificates = (quote: Buffer): number => quote.indexOf('-----BEGIN');
    fc.assert(
      fc.property(fc.constantFrom(sgx, tdx), fc.nat(4_500), fc.integer({ min: 0, max: 7 }), (from, at, bit) => {
        const quote = Buffer.from(from.quote);
        quote[at] = quote[at]! ^ (1 << bit);
        const reason = reasonOf(() => expect(verifyQuote(quote, from.collateral, inTime)).toEqual(believed.get(from)));
        // PEM forgives characters between lines; what it holds is signed.
        const forgiven = at >= certificates(from.quote);
        expect(reason !== 'accepted' || forgiven || asked(quote, from.collateral) !== 'rejected').toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('refuses every flipped bit of the signed parts of a quote and of every part of the collateral', () => {
    const signedEnd = 48 + 384;
    const texts = Object.keys(sgx.collateral) as (keyof Collateral)[];
    fc.assert(
      fc.property(fc.nat(signedEnd - 1), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const quote = Buffer.from(sgx.quote);
        quote[at] = quote[at]! ^ (1 << bit);
        expect(ours(quote, sgx.collateral)).toBe('rejected');
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(), (name, at) => {
        const text = sgx.collateral[name];
        const index = at % text.length;
        const other = text[index] === '1' ? '2' : '1';
        const changed = { ...sgx.collateral, [name]: text.slice(0, index) + other + text.slice(index + 1) };
        // Between the certificates of a PEM file anything may stand.
        const betweenCertificates = name.endsWith('issuer_chain');
        expect(betweenCertificates || ours(sgx.quote, changed) === 'rejected').toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('answers quotes of any bytes and any length with a reason', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(sgx.quote.length - 1), (bytes, length) => {
        expect(reasonOf(() => verifyQuote(bytes, sgx.collateral, inTime))).not.toBe('accepted');
        const cut = sgx.quote.subarray(0, length);
        expect(reasonOf(() => verifyQuote(cut, sgx.collateral, inTime))).toBe('the quote is cut short');
      }),
      { numRuns: 200 },
    );
  });
});

describe('verifyQuote with platforms made for it', () => {
  const verdictOn = (changes: Partial<MadeTerms>) => {
    const { quote, collateral, rootKey } = makePlatform(changes);
    return verifyQuote(quote, collateral, madeAt, { rootKey }).verdict;
  };

  it('accepts a platform under its own root and refuses it under that of Intel', () => {
    const { quote, collateral, rootKey } = makePlatform();
    expect(verifyQuote(quote, collateral, madeAt, { rootKey }).body.report.reportData).toEqual(Buffer.alloc(64, 7));
    expect(reasonOf(() => verifyQuote(quote, collateral, madeAt))).toMatch(/not the root that is trusted/);
  });

  it.each<[string, Partial<MadeTerms>, RegExp]>([
    ['a revoked platform', { revoked: 'platform' }, /"Intel SGX PCK Certificate" \(serial 05\) was revoked/],
    ['a revoked authority', { revoked: 'authority' }, /"Intel SGX PCK Processor CA" \(serial 02\) was revoked/],
    ['a revoked TCB signer', { revoked: 'tcb-signer' }, /"Intel SGX TCB Signing" \(serial 04\) was revoked/],
    ['a debug enclave', { debug: true }, /debug enclave/],
    ['a revoked TCB level', { tcbStatus: 'Revoked' }, /revoked the security level/],
    ['a platform below every level', { componentSvn: 1 }, /reaches no security level/],
    ['a quoting enclave below every level', { quotingEnclaveSvn: 5 }, /version 5, which Intel does not know/],
    ['a quoting enclave with other MISCSELECT bits', { quotingEnclaveMiscSelect: 2 }, /not Intel's quoting enclave/],
    ['TCB info signed by anybody else', { tcbSignerName: 'Intel SGX PCK Certificate' }, /not by the TCB signing/],
    ['a revocation list of another authority', { listAuthority: 'other' }, /of another authority/],
    ['collateral that ran out', { nextUpdate: new Date('2026-05-20T00:00:00Z') }, /out of date since 2026-05-20/],
  ])('refuses %s', (_, changes, reason) => {
    expect(reasonOf(() => verdictOn(changes))).toMatch(reason);
  });

  it('ignores the MISCSELECT bits that the mask leaves open', () => {
    expect(verdictOn({ quotingEnclaveMiscSelect: 1 }).status).toBe('UpToDate');
  });

  it('reports the level that the platform reaches, no better than its quoting enclave', () => {
    expect(verdictOn({ componentSvn: 4 })).toEqual({ status: 'OutOfDate', advisoryIds: ['INTEL-SA-00002'] });
    expect(verdictOn({ quotingEnclaveSvn: 6 })).toEqual({ status: 'OutOfDate', advisoryIds: ['INTEL-SA-00001'] });
    expect(verdictOn({ quotingEnclaveSvn: 7, tcbStatus: 'ConfigurationNeeded' }).status).toBe(
      'OutOfDateConfigurationNeeded',
    );
  });

  it('refuses collateral for another kind of platform', () => {
    const { quote, rootKey } = makePlatform();
    const other = makePlatform({ fmspc: '00906ed50000' });
    expect(reasonOf(() => verifyQuote(quote, other.collateral, madeAt, { rootKey }))).toMatch(
      /not the root that is trusted/,
    );
    expect(reasonOf(() => verifyQuote(other.quote, other.collateral, madeAt, { rootKey: other.rootKey }))).toBe(
      'accepted',
    );
  });
});
