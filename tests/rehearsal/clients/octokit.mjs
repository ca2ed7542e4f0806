// GitHub's REST client makes the calls that are given to it as JSON lines, and prints what came of each.
//   in   {"operation": "GET /repos/{owner}/{repo}", "parameters": {…}, "token": "…", "upload": "bytes in base64"}
//   out  {"method": "repos.get", "status": 200}
import { createInterface } from "node:readline";
import { Octokit } from "@octokit/rest";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function methods(octokit) {
  const found = new Map();
  for (const [group, members] of Object.entries(octokit.rest)) {
    for (const [name, method] of Object.entries(members)) {
      const { method: verb, url } = method.endpoint.DEFAULTS;
      const operation = `${verb} ${url.replace(/\{\?.*\}$/, "")}`;
      if (!found.has(operation)) found.set(operation, { name: `${group}.${name}`, method });
    }
  }
  return found;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, parameters, token, upload } = JSON.parse(line);
  const octokit = new Octokit({ auth: token, baseUrl: process.env.GITHUB_API_URL, log: quiet });
  const found = methods(octokit).get(operation);
  if (!found) {
    console.log(JSON.stringify({ method: null, status: 0, message: "the client has no such method" }));
    continue;
  }
  try {
    const data = upload ? { ...parameters, baseUrl: process.env.UPLOADS_URL, data: Buffer.from(upload, "base64") } : parameters;
    const answer = await found.method(data);
    console.log(JSON.stringify({ method: found.name, status: answer.status, bytes: size(answer.data) }));
  } catch (error) {
    console.log(JSON.stringify({ method: found.name, status: error.status ?? 0, message: error.message }));
  }
}

function size(data) {
  return data instanceof ArrayBuffer ? data.byteLength : null;
}
