/** How this node is. */
import { z } from 'zod';
import { defineAction } from '../src/kit';

export const status = defineAction({
  name: 'status',
  description: 'I will return some basic information about the server',
  inputs: z.object({}),
  safe: true,
  outputExample: { id: '1f6c…', serverName: 'earshot', uptime: 10469, nodeStatus: 'Node Healthy', problems: [] },
  run: async ({ api }) => {
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
