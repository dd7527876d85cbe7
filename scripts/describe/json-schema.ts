/** Schemas of the code as JSON Schema, the way the descriptions hold them. */
import { z } from 'zod';
import { errorCatalogue } from '../../src/protocol/errors';

export type Json = Readonly<Record<string, unknown>>;

/** As a client writes it: what the server makes of it is nobody else's business. */
export function schemaOf(schema: z.ZodType): Json {
  const made = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' });
  // The description that it becomes a part of says which one it is.
  delete made.$schema;
  return made;
}

/** Every code with its text, for people. */
export function errorList(): string {
  return Object.entries(errorCatalogue)
    .map(([code, { status, text }]) => `- ${status} \`${code}\`: ${text.replace('%s', '…')}`)
    .join('\n');
}
