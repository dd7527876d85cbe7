/** npm's actionhero-client 6 (actionhero-node-client 6 is the same file): promises over TCP, and `messageCount`. */
import ActionheroNodeClient from 'actionhero-client-6';
import { nodeClientTests } from './node-clients';
import { promised } from './promised';

nodeClientTests({ create: () => promised(new ActionheroNodeClient()), pipelines: true, documentation: true });
