/** Serves pages of ours: plain files, and the browser's promise to run nothing else. */
import path from 'node:path';
import express, { type Router } from 'express';
import helmet from 'helmet';

/** `public/` beside the sources and beside the compiled modules alike. */
const publicFolder = path.join(__dirname, '../../../public');

/** @param folders under `public/`, by the path that each is served at */
export function pageRouter(folders: Readonly<Record<string, string>>): Router {
  const router = express.Router();
  router.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          connectSrc: ["'self'"],
          imgSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
          requireTrustedTypesFor: ["'script'"],
        },
      },
      referrerPolicy: { policy: 'no-referrer' },
      // Whether the site has TLS for ever is its proxy's to say.
      strictTransportSecurity: false,
    }),
  );
  for (const [at, folder] of Object.entries(folders)) {
    router.use(at, express.static(path.join(publicFolder, folder), { fallthrough: true, redirect: false, maxAge: 0 }));
  }
  return router;
}
