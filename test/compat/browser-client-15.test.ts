/** The browser client that ActionHero 9 to 18 generated: Primus, and `messageCount`. */
import { browserClientTests } from './browser-clients';
import { counting } from './generations';

browserClientTests(counting);
