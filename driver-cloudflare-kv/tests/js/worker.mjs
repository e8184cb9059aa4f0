import { gateway } from "./gateway.mjs";
import { witness } from "./witness.mjs";

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const namespaces = Object.fromEntries(
      Object.entries(env)
        .filter(([name]) => name.startsWith("KV_"))
        .map(([name, binding]) => [name.slice(3), binding]),
    );
    if (url.pathname.startsWith("/witness/")) return witness(request, url, namespaces);
    return gateway(request, url, namespaces);
  },
};
