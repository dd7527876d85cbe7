/** Serves pages of ours: plain files, and the browser's promise to run nothing else. */
import path from 'node:path';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';

/** `public/` beside the sources and beside the compiled modules alike. */
const publicFolder = path.join(__dirname, '../../../public');

/** The client library as one module. It is no secret, so pages of any site may load it; what they may do is asked later. */
export function serveClient(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    'Content-Type': 'text/javascript; charset=utf-8',
    'Cache-Control': 'no-cache',
    'Access-Control-Allow-Origin': '*',
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'X-Content-Type-Options': 'nosniff',
  });
  response.sendFile('client.mjs', { root: path.join(publicFolder, 'client') }, (error: Error | undefined) => {
    if (error && !response.headersSent) next(error);
  });
}

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
