// Bundles src/ into ../linkage/desk/static; --check says whether what lies there is current.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "linkage", "desk", "static");

async function bundle() {
  const result = await build({
    entryPoints: [join(here, "src", "graph.js")],
    bundle: true,
    format: "esm",
    target: "es2021",
    minify: true,
    legalComments: "none",
    charset: "ascii",
    metafile: true,
    write: false,
    absWorkingDir: here,
  });
  const packages = new Set();
  for (const name of Object.keys(result.metafile.inputs)) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(name);
    if (match) packages.add(match[1]);
  }
  return { code: result.outputFiles[0].text, packages: [...packages].sort() };
}

async function notice(packages) {
  const parts = ["graph.js bundles these packages. Their licences follow.\n"];
  for (const name of packages) {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    let text = "";
    for (const file of ["LICENSE.txt", "LICENSE", "LICENSE.md"]) {
      text = text || (await readFile(join(folder, file), "utf8").catch(() => ""));
    }
    if (!text) throw new Error(`${name} has no licence file`);
    parts.push(`${"=".repeat(70)}\n${name} ${version}\n${"=".repeat(70)}\n${text.trim()}\n`);
  }
  return `${parts.join("\n").replaceAll("\r", "")}`;
}

const { code, packages } = await bundle();
const css = await readFile(join(here, "src", "graph.css"), "utf8");
const files = { "graph.js": code, "graph.css": css, "NOTICE.txt": await notice(packages) };
let stale = 0;
for (const [name, text] of Object.entries(files)) {
  const path = join(target, name);
  if (!process.argv.includes("--check")) await writeFile(path, text);
  else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    console.error(`${name} is not what src/ builds: run npm ci && npm run build in js/`);
    stale = 1;
  }
}
process.exit(stale);
