// What a Worker sees and does through the KV binding itself:
// POST /witness/<namespace> with { call, arguments }, answered by { result } or { error }.
const bytes = (buffer) => buffer && Array.from(new Uint8Array(buffer));

const calls = (kv) => ({
  async get(key) {
    const { value, metadata } = await kv.getWithMetadata(key, "arrayBuffer");
    return { bytes: bytes(value), metadata };
  },
  put: (key, value, options) => kv.put(key, typeof value === "string" ? value : Uint8Array.from(value), options),
  delete: (key) => kv.delete(key),
  // Name, metadata and, in seconds since 1970, native expiration of each key.
  async list(prefix) {
    const keys = [];
    let cursor;
    do {
      const page = await kv.list({ prefix, cursor });
      keys.push(...page.keys);
      cursor = page.list_complete ? undefined : page.cursor;
    } while (cursor);
    return keys;
  },
});

export async function witness(request, url, namespaces) {
  const { call, arguments: given } = await request.json();
  try {
    const result = await calls(namespaces[url.pathname.split("/")[2]])[call](...given);
    return Response.json({ result: result ?? null });
  } catch (error) {
    return Response.json({ error: String(error) });
  }
}
