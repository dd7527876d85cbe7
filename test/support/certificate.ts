/** A certificate that signs itself, for one test's server and for a client of it. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @param folder for the two files, whose paths are answered */
export function makeCertificate(folder: string): Certificate {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const args = ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '1', ...name];
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  return { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
}
