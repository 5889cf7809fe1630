/**
 * Exclusive use of a directory by one process. The kernel gives it back when the process ends, however it ends,
 * and it holds between containers that share the directory.
 */
export interface OwnerLock {
  /** Safe to call twice. */
  release(): void;
}
