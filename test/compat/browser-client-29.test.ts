/** The browser client that ActionHero 19 to 29 generates: Primus, and `messageId`. */
import { browserClientTests } from './browser-clients';
import { numbering } from './generations';

browserClientTests(numbering);
