/** The rules of the house, for the page: which floor may know which, how large a file may be, what is shipped. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const web = join(import.meta.dirname, "..");
const INITIAL_LIMIT = 170 * 1024;
const LAZY_LIMIT = 40 * 1024;
const LINES = 250;

function files(folder: string): string[] {
  return readdirSync(join(web, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => /\.(tsx?|css)$/.test(path) && statSync(join(web, path)).isFile());
}

const imports = (path: string) =>
  [...readFileSync(join(web, path), "utf8").matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
    ([, name]) => name ?? "",
  );

describe("floors", () => {
  const forbidden: [string, RegExp][] = [
    ["packages/client", /^(react|@core|@ui|marked|lucide)/],
    ["packages/core", /^(react|@ui|lucide)/],
    ["packages/ui", /apps\//],
  ];
  test.each(forbidden)("%s knows nothing of %s", (folder, names) => {
    const wrong = files(folder).flatMap((path) =>
      imports(path)
        .filter((name) => names.test(name))
        .map((name) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

test("no file outgrows its page", () => {
  const long = ["packages", "apps", "build"]
    .flatMap(files)
    .filter((path) => readFileSync(join(web, path), "utf8").trimEnd().split("\n").length > LINES);
  expect(long).toEqual([]);
});

test("components use tokens only, never a literal colour", () => {
  const styles = files("packages/ui").filter((path) => path.endsWith(".css") && !path.endsWith("tokens.css"));
  const literal = styles.filter((path) =>
    /#[\da-f]{3,8}\b|rgba?\(|hsla?\(/i.test(readFileSync(join(web, path), "utf8")),
  );
  expect(literal).toEqual([]);
});

describe("the built page", () => {
  let out = "";
  let html = "";
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), "parlour-page-"));
    const vite = join(web, "node_modules/vite/bin/vite.js");
    execFileSync(
      process.execPath,
      [vite, "build", "--outDir", relative(join(web, "apps/app"), out), "--logLevel", "error"],
      {
        cwd: web,
        env: { ...process.env, NODE_ENV: "production" },
      },
    );
    html = readFileSync(join(out, "index.html"), "utf8");
  }, 60_000);
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  const size = (name: string) => gzipSync(readFileSync(join(out, "assets", name)), { level: 9 }).length;
  const scripts = () => readdirSync(join(out, "assets")).filter((name) => name.endsWith(".js"));

  test("keeps its budgets", () => {
    const initial = scripts().filter((name) => html.includes(name));
    expect(initial.reduce((sum, name) => sum + size(name), 0)).toBeLessThanOrEqual(INITIAL_LIMIT);
    for (const name of scripts().filter((each) => !initial.includes(each))) {
      expect(size(name), name).toBeLessThanOrEqual(LAZY_LIMIT);
    }
  });

  test("needs no inline script or style, and nothing from elsewhere", () => {
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>/);
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
    expect(html).not.toMatch(/(?:src|href)="(?!\/assets\/)/);
  });

  test("has a compressed neighbour for each text, and no source map", () => {
    const names = readdirSync(join(out, "assets"));
    for (const name of names.filter((each) => /\.(js|css|svg)$/.test(each))) {
      expect(names).toContain(`${name}.gz`);
      expect(names).toContain(`${name}.br`);
    }
    expect(names.filter((name) => name.endsWith(".map"))).toEqual([]);
  });
});
