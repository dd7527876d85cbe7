/** Certificates and keys, as the settings name them. */
import { readFileSync } from 'node:fs';

/** Null where there is not both. @throws Error naming the setting, when there is no such file */
export function certificateOf(
  setting: string,
  { cert, key }: { readonly cert: string | null; readonly key: string | null },
): { readonly cert: string; readonly key: string } | null {
  const [certificate, secret] = [pem(`${setting}.cert`, cert), pem(`${setting}.key`, key)];
  return certificate === null || secret === null ? null : { cert: certificate, key: secret };
}

/** A PEM text, or the file that holds one. @throws Error naming the setting, when there is no such file */
export function pem(setting: string, value: string | null): string | null {
  if (value === null || value.includes('-----BEGIN')) return value;
  try {
    return readFileSync(value, 'utf8');
  } catch (error) {
    throw new Error(`${setting}: ${(error as Error).message}`, { cause: error });
  }
}
