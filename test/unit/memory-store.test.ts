import { storeContract } from '../contract/store';
import { memoryStore } from '../support/stores';

storeContract('MemoryStore', memoryStore);
