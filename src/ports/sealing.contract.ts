import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { maxSecretBytes, type Sealing } from './sealing.ts';

/** One simulated or real piece of hardware. */
export interface SealingHost {
  /** The provider as a new process on this hardware would make it. */
  open(): Sealing;
}

/** What every sealing provider must do. `newHost` makes hardware on which nothing was provisioned yet. */
export function sealingContract(name: string, newHost: () => Promise<SealingHost>): void {
  describe(`${name} keeps the sealing contract`, () => {
    let host: SealingHost;
    let other: SealingHost;

    beforeEach(async () => {
      [host, other] = await Promise.all([newHost(), newHost()]);
      await host.open().provision();
      await other.open().provision();
    });

    it('unseals in a later process what it sealed, whatever the bytes and their number', async () => {
      const secret = fc.uint8Array({ minLength: 1, maxLength: maxSecretBytes });
      await fc.assert(
        fc.asyncProperty(secret, async (bytes) => {
          const sealed = await host.open().seal(bytes);
          expect(await host.open().unseal(sealed)).toEqual(Buffer.from(bytes));
        }),
        { numRuns: 10 },
      );
    });

    it('seals the same secret to different bytes each time, none of which contain it', async () => {
      const secret = Buffer.alloc(85, 'secret');
      const [first, second] = [await host.open().seal(secret), await host.open().seal(secret)];
      expect(first).not.toEqual(second);
      expect(first.includes('secret')).toBe(false);
    });

    it('answers undefined for what other hardware sealed', async () => {
      const sealed = await other.open().seal(Buffer.from('of the other host'));
      expect(await host.open().unseal(sealed)).toBeUndefined();
    });

    it('answers undefined for damaged and foreign bytes', async () => {
      const sealed = await host.open().seal(Buffer.alloc(85, 1));
      const foreign = [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(sealed.length), Buffer.alloc(64 * 1024, 0xff)];
      const shortened = [sealed.subarray(0, -1), sealed.subarray(1), sealed.subarray(0, 16)];
      for (const bytes of [...foreign, ...shortened, Buffer.concat([sealed, Buffer.of(0)])]) {
        expect(await host.open().unseal(bytes)).toBeUndefined();
      }
      for (const position of [0, 1, sealed.length >> 1, sealed.length - 1]) {
        const damaged = Buffer.from(sealed);
        damaged[position]! ^= 1;
        expect(await host.open().unseal(damaged)).toBeUndefined();
      }
    });

    it('has one identity on one piece of hardware and another elsewhere, printable and without spaces', async () => {
      const identity = await host.open().hardwareIdentity();
      expect(await host.open().hardwareIdentity()).toBe(identity);
      expect(await other.open().hardwareIdentity()).not.toBe(identity);
      expect(identity).toMatch(/^[\x21-\x7e]{1,200}$/);
    });

    it('keeps the key that is there when provisioned again', async () => {
      const sealed = await host.open().seal(Buffer.from('before'));
      const identity = await host.open().hardwareIdentity();
      await host.open().provision();
      expect(await host.open().unseal(sealed)).toEqual(Buffer.from('before'));
      expect(await host.open().hardwareIdentity()).toBe(identity);
    });

    it('refuses to seal more than a TPM holds', async () => {
      await expect(host.open().seal(Buffer.alloc(maxSecretBytes + 1))).rejects.toThrow(RangeError);
    });
  });
}
