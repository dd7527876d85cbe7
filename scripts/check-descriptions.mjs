/** Holds the descriptions in docs/ against the schemas of OpenAPI 3.1 and AsyncAPI 3.0. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import specs from '@asyncapi/specs';
import Ajv from 'ajv';

const read = (file) => JSON.parse(readFileSync(path.join(import.meta.dirname, '../docs', file), 'utf8'));
const problems = [];

for (const file of ['openapi.json', 'openapi-admin.json']) {
  const { valid, errors } = await new Validator().validate(read(file));
  if (!valid) problems.push({ file, errors });
}

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false });
const validate = ajv.compile(specs.schemasWithoutId['3.0.0']);
if (!validate(read('asyncapi.json'))) problems.push({ file: 'asyncapi.json', errors: validate.errors });

// Every reference leads somewhere: the schemas of the two do not look.
for (const file of ['openapi.json', 'openapi-admin.json', 'asyncapi.json']) {
  const text = read(file);
  for (const [, pointer] of JSON.stringify(text).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const steps = pointer.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    if (steps.reduce((at, step) => at?.[step], text) === undefined) problems.push({ file, errors: `no ${pointer}` });
  }
}

if (problems.length > 0) {
  console.error(JSON.stringify(problems, null, 2).slice(0, 20_000));
  process.exitCode = 1;
}
