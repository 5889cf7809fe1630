/** A component of a CycloneDX 1.6 bill of materials, as far as this project uses one. */
export interface Component {
  readonly type: 'application' | 'library';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly group?: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
  readonly licenses?: readonly ({ readonly license: { readonly id: string } } | { readonly expression: string })[];
  readonly purl: string;
}

/** What a component needs to run, by their references. */
export interface Dependency {
  readonly ref: string;
  readonly dependsOn: readonly string[];
}
