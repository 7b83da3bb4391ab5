// fetch of node as it comes. It knows no Expect.
const [url, key] = process.argv.slice(2);
const SUM = JSON.stringify({ kind: "demo.sum", input: { values: [1, 2] } });

async function ask(what, path, { method = "GET", token = key, body, headers = {} } = {}) {
  const type = body ? { "Content-Type": "application/json" } : {};
  const answer = await fetch(url + path, { method, body, headers: { Authorization: `Bearer ${token}`, ...type, ...headers } });
  await answer.arrayBuffer();
  console.log(what, answer.status);
  return answer;
}

const submit = { method: "POST", body: SUM };
const first = await ask("submit", "/v1/jobs", submit);
await ask("submit", "/v1/jobs", submit);
await ask("large", "/v1/jobs", { method: "POST", body: SUM + " ".repeat(20_000) });
await ask("refused", "/v1/jobs", { ...submit, token: "nobody" });
const path = first.headers.get("location");
const job = await ask("look up", path);
await ask("unchanged", path, { headers: { "If-None-Match": job.headers.get("etag") } });
await ask("cancel", `${path}/cancel`, { method: "POST" });
await ask("submit", "/v1/jobs", submit);
