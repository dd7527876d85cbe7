/** How this node is. */
import { z } from 'zod';
import { defineAction, type ActionContext, type Api } from '../src/kit';

const inputs = z.object({});

export const status = defineAction({
  name: 'status',
  description: 'I will return some basic information about the server',
  inputs,
  outputExample: { id: '1f6c…', serverName: 'earshot', uptime: 10469, nodeStatus: 'Node Healthy', problems: [] },
  run: async ({ api }: ActionContext<typeof inputs, Api>) => {
    const health = await api.health();
    return {
      id: api.id,
      serverName: api.config.general.serverName,
      uptime: Date.now() - api.bootTime,
      nodeStatus: health.ready ? 'Node Healthy' : 'Unhealthy',
      problems: health.ready ? [] : [health.reason],
    };
  },
});
