/** Writes the descriptions of the protocol into docs/: `npm run describe`. A test compares them with what this makes. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { asyncapi } from './asyncapi';
import { adminOpenapi, openapi } from './openapi';

const docs = path.resolve(__dirname, '../../docs');

export const descriptions = {
  'openapi.json': openapi,
  'openapi-admin.json': adminOpenapi,
  'asyncapi.json': asyncapi,
} as const;

if (require.main === module) {
  for (const [file, describe] of Object.entries(descriptions)) {
    writeFileSync(path.join(docs, file), JSON.stringify(describe(), null, 2));
  }
}
