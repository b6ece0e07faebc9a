import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { headAssets, precompress } from "./build/plugins.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.PARLOUR_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  root: here("apps/app"),
  resolve: {
    alias: { "@client": here("packages/client"), "@core": here("packages/core"), "@ui": here("packages/ui") },
  },
  plugins: [
    react(),
    headAssets(here("apps/app/theme-boot.ts"), /inter-latin-wght-normal.*\.woff2$/),
    precompress(),
  ],
  server: { proxy: { "/api": server } },
  build: {
    outDir: "../../../src/parlour/static",
    emptyOutDir: true,
    sourcemap: false,
    // Inlined fonts and images would be data: addresses, which the page's policy forbids for fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
