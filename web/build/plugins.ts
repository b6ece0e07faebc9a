/**
 * The two things Vite does not do for a page under a strict Content-Security-Policy: a blocking theme script
 * that is a file (so that no flash of the wrong theme is seen and no inline script is needed), and
 * precompressed neighbours for every text asset.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { type Plugin, transformWithOxc } from "vite";

/** Emit `source` as a hashed classic script, load it first in the head, and preload the text face. */
export function headAssets(source: string, preloadFont: RegExp): Plugin {
  let script = "";
  return {
    name: "parlour-head-assets",
    configureServer(server) {
      server.middlewares.use("/theme-boot.js", async (_request, response) => {
        response.setHeader("Content-Type", "text/javascript");
        response.end(await plainScript(source));
      });
    },
    async generateBundle() {
      const reference = this.emitFile({ type: "asset", name: "theme.js", source: await plainScript(source) });
      script = this.getFileName(reference);
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const font = Object.keys(context.bundle ?? {}).find((name) => preloadFont.test(name));
        return [
          {
            tag: "script",
            attrs: { src: script ? `/${script}` : "/theme-boot.js" },
            injectTo: "head-prepend",
          },
          ...(font
            ? [
                {
                  tag: "link",
                  attrs: {
                    rel: "preload",
                    href: `/${font}`,
                    as: "font",
                    type: "font/woff2",
                    crossorigin: true,
                  },
                  injectTo: "head" as const,
                },
              ]
            : []),
        ];
      },
    },
  };
}

async function plainScript(path: string): Promise<string> {
  const { code } = await transformWithOxc(readFileSync(path, "utf8"), path, { sourcemap: false });
  return `(function(){${code.replace(/^export\s*\{\s*\};?/m, "").trim()}})();\n`;
}

/** Lay `.gz` and `.br` beside each text asset, so that the server never compresses on a request. */
export function precompress(): Plugin {
  let folder = "";
  return {
    name: "parlour-precompress",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir, config.build.assetsDir);
    },
    closeBundle() {
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const body = readFileSync(join(folder, name));
        writeFileSync(join(folder, `${name}.gz`), gzipSync(body, { level: 9 }));
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
        };
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(body, { params }));
      }
    },
  };
}
