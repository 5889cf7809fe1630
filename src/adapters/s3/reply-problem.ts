/** A reply that no object store gives, or that does not hold what was stored. It says nothing about what happened there. */
export class ReplyProblem extends Error {
  /** `corrupt`: the bytes of an object came back changed. `strange`: not the reply of an object store. */
  readonly kind: 'corrupt' | 'strange';

  constructor(kind: ReplyProblem['kind'], message: string) {
    super(message);
    this.name = 'ReplyProblem';
    this.kind = kind;
  }
}
