/** What actions there are, and what they take. */
import { z } from 'zod';
import { defineAction } from '../src/kit';

export const documentation = defineAction({
  name: 'documentation',
  description: 'I will tell which actions there are and what they take',
  inputs: z.object({}),
  safe: true,
  run: ({ api }) => ({ documentation: api.documentation() }),
});
