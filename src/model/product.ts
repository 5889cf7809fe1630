/** Version of this program, as manifests record it. A test holds it equal to `package.json`. */
export const productVersion = '0.1.0';
