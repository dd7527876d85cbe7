/** Serves pages of ours: plain files, and the browser's promise to run nothing else. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';

/** `public/` beside the sources and beside the compiled modules alike. */
const publicFolder = path.join(__dirname, '../../../public');

/** The client library as it is sent; read when it is first asked for, which is not where a server has no page. */
let client: Promise<{ readonly plain: Buffer; readonly gzipped: Buffer; readonly etag: string }> | undefined;

async function readClient(): Promise<{ plain: Buffer; gzipped: Buffer; etag: string }> {
  const plain = await readFile(path.join(publicFolder, 'client/client.mjs'));
  const etag = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  return { plain, gzipped: gzipSync(plain, { level: 9 }), etag };
}

/** The client library as one module. It is no secret, so pages of any site may load it; what they may do is asked later. */
export async function serveClient(request: Request, response: Response, next: NextFunction): Promise<void> {
  try {
    const { plain, gzipped, etag } = await (client ??= readClient());
    const zipped = Boolean(request.acceptsEncodings('gzip'));
    response.set({
      'Content-Type': 'text/javascript; charset=utf-8',
      'Cache-Control': 'no-cache',
      ETag: `"${etag}${zipped ? '-gzip' : ''}"`,
      Vary: 'Accept-Encoding',
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
    });
    if (zipped) response.set('Content-Encoding', 'gzip');
    response.send(zipped ? gzipped : plain);
  } catch (error) {
    client = undefined;
    next(error);
  }
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
