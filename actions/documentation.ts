/** What actions there are, and what they take. */
import { z } from 'zod';
import { defineAction, type ActionContext, type Api } from '../src/kit';

const inputs = z.object({});

export const documentation = defineAction({
  name: 'documentation',
  description: 'I will tell which actions there are and what they take',
  inputs,
  run: ({ api }: ActionContext<typeof inputs, Api>) => ({ documentation: api.documentation() }),
});
