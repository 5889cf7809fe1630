/**
 * How far a number may be beyond the one before it. The program counts on by one, and leaves room where something was
 * hidden or lies in the way; a keyring has fewer documents than this. A member who signs a number at the end of the range
 * would otherwise leave none for what comes after: not even for its own eviction.
 */
const maxStep = 65_536;

export const isPlausibleStep = (from: number, to: number): boolean => to - from <= maxStep;
