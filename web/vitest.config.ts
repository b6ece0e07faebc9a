import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vitest/config";
import app from "./vite.config.ts";

export default mergeConfig(
  app,
  defineConfig({
    root: fileURLToPath(new URL(".", import.meta.url)),
    test: {
      root: fileURLToPath(new URL(".", import.meta.url)),
      include: ["tests/**/*.test.{ts,tsx}"],
      environment: "happy-dom",
      restoreMocks: true,
    },
  }),
);
