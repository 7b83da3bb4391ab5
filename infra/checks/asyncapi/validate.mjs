// Validate AsyncAPI documents: `npm run validate FILE…`. The parser comes from npm at first use, as the lock says, into .local/tools.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const lock = readFileSync(join(here, "package-lock.json"));
const home = join(here, "../../../.local/tools", `asyncapi-${createHash("sha256").update(lock).digest("hex").slice(0, 12)}`);

if (!existsSync(join(home, "complete"))) {
  mkdirSync(home, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(here, name), join(home, name));
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: home, stdio: "inherit" });
  writeFileSync(join(home, "complete"), "");
}

const { Parser } = createRequire(join(home, "package.json"))("@asyncapi/parser");
for (const file of process.argv.slice(2)) {
  const text = readFileSync(join(process.env.INIT_CWD ?? ".", file), "utf8");
  const { document, diagnostics } = await new Parser().parse(text);
  const wrong = diagnostics.filter((each) => each.severity === 0);
  for (const each of wrong) console.log(`${file}:${each.range.start.line + 1}: ${each.message} (${each.path.join(".")})`);
  if (wrong.length || document?.version() !== "3.0.0") {
    console.log(`${file} is no document of AsyncAPI 3.0.0`);
    process.exitCode = 1;
  }
}
