// Starts miniflare with its KV namespaces: the gateway, the witness and miniflare's own explorer, on one port.
// Arguments: the port, how many namespaces.
import { readFileSync } from "node:fs";
import { Miniflare } from "miniflare";

const [port, namespaces] = process.argv.slice(2).map(Number);
const ids = Array.from({ length: namespaces }, (_, number) => number.toString(16).padStart(32, "0"));
const module = (name) => [name, { type: "esm", contents: readFileSync(new URL(name, import.meta.url), "utf8") }];

const miniflare = new Miniflare({
  host: "127.0.0.1",
  port,
  cf: false,
  telemetry: { enabled: false },
  unsafeLocalExplorer: true,
  workers: [
    {
      config: {
        name: "kv",
        compatibilityDate: "2026-01-01",
        manifest: {
          mainModule: "worker.mjs",
          modules: Object.fromEntries(["worker.mjs", "gateway.mjs", "witness.mjs"].map(module)),
        },
        env: Object.fromEntries(ids.map((id) => [`KV_${id}`, { type: "kv", id }])),
      },
    },
  ],
});
await miniflare.ready;
console.log("ready");
