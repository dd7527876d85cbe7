/** npm's actionhero-node-client 8: before each request it sets the sticky param `messageId`, and looks for that in the answer. */
import ActionheroNodeClient from 'actionhero-node-client';
import { nodeClientTests } from './node-clients';
import { promised } from './promised';

nodeClientTests({ create: () => promised(new ActionheroNodeClient()), pipelines: false, documentation: false });
