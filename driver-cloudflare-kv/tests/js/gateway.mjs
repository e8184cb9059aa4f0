// Cloudflare's REST API for Workers KV, version 4, over KV bindings. It takes these credentials and no others:
const ACCOUNT = "0123456789abcdef0123456789abcdef";
const TOKEN = "token-for-tests";
const EMAIL = "tests@example.com";
const KEY = "key-for-tests";
const SERVICE_KEY = "service-key-for-tests";

const MOST_PAIRS = 10_000;
const LONGEST_BODY = 100_000_000;
const LONGEST_VALUE = 25 * 1024 * 1024;
const LONGEST_KEY = 512;
const SHORTEST_TTL = 60;

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

const envelope = (result, rest) => Response.json({ success: true, errors: [], messages: [], result, ...rest });

const refusal = ({ status, code, message }) =>
  Response.json({ success: false, errors: [{ code, message }], messages: [], result: null }, { status });

// A binding tells its refusals as `KV PUT failed: 413 Value length of …`.
function fromBinding(error) {
  const [, status, message] = /failed: (\d{3}) (.*)/s.exec(error.message) ?? [];
  return status ? new Refusal(Number(status), 10001, message) : new Refusal(500, 10000, error.message);
}

function authenticate(headers) {
  const given = (name) => headers.get(name);
  const authorized =
    given("authorization") === `Bearer ${TOKEN}` ||
    (given("x-auth-email") === EMAIL && given("x-auth-key") === KEY) ||
    given("x-auth-user-service-key") === SERVICE_KEY;
  if (authorized) return;
  const anything = ["authorization", "x-auth-key", "x-auth-user-service-key"].some((name) => headers.has(name));
  if (anything) throw new Refusal(401, 10000, "Authentication error");
  throw new Refusal(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers");
}

const number = (text) => (text === null || text === undefined ? undefined : Number(text));

function checkExpiry({ expiration, expirationTtl }) {
  if (expirationTtl !== undefined) {
    if (!(expirationTtl >= SHORTEST_TTL)) {
      throw new Refusal(400, 10033, `Invalid expiration_ttl of ${expirationTtl}; it must be at least ${SHORTEST_TTL}`);
    }
  } else if (expiration !== undefined && !(expiration >= Date.now() / 1000 + SHORTEST_TTL)) {
    throw new Refusal(400, 10033, `Invalid expiration of ${expiration}; it must be ${SHORTEST_TTL} seconds from now`);
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 10012, "The body is no JSON");
  }
}

async function body(request, what) {
  if (Number(request.headers.get("content-length")) > LONGEST_BODY) throw new Refusal(413, 10001, "The body is over 100 MB");
  const parsed = parseJson(await request.text());
  if (!what(parsed)) throw new Refusal(400, 10001, "The body has not the right form");
  return parsed;
}

const isKey = (key) => typeof key === "string" && new TextEncoder().encode(key).length <= LONGEST_KEY;

async function allOf(keys, change) {
  const unsuccessful = [];
  await Promise.all(
    keys.map((key) =>
      change(key).catch((error) => {
        unsuccessful.push({ key, error });
      }),
    ),
  );
  if (unsuccessful.length === keys.length && keys.length > 0) throw fromBinding(unsuccessful[0].error);
  return {
    successful_key_count: keys.length - unsuccessful.length,
    unsuccessful_keys: unsuccessful.map(({ key }) => key),
  };
}

function commonPrefix(keys) {
  let prefix = keys[0];
  for (const key of keys) {
    while (!key.startsWith(prefix)) prefix = prefix.slice(0, -1);
  }
  return prefix;
}

// When keys end, which a binding tells in listings alone: all at once where they are among the first that begin as
// they do, else one by one, where the key itself comes first.
async function expirations(kv, keys) {
  const found = new Map();
  const look = async (prefix, limit) => {
    const page = await kv.list({ prefix, limit });
    for (const { name, expiration } of page.keys) found.set(name, expiration);
  };
  if (keys.length > 1) await look(commonPrefix(keys));
  await Promise.all(keys.filter((key) => !found.has(key)).map((key) => look(key, 1)));
  return found;
}

const routes = {
  async "GET keys"({ kv, query }) {
    const limit = number(query.get("limit")) ?? 1000;
    if (!(limit >= 10 && limit <= 1000)) throw new Refusal(400, 10029, "The limit must be from 10 to 1000");
    const page = await kv.list({ prefix: query.get("prefix") ?? undefined, cursor: query.get("cursor") || undefined, limit });
    const cursor = page.list_complete ? "" : page.cursor;
    return envelope(page.keys, { result_info: { count: page.keys.length, cursor } });
  },

  async "GET values"({ kv, key }) {
    const value = await kv.get(key, "stream");
    if (value === null) throw new Refusal(404, 10009, "get: 'key not found'");
    const expiration = (await expirations(kv, [key])).get(key);
    const headers = { "content-type": "application/octet-stream" };
    if (expiration !== undefined) headers.expiration = String(expiration);
    return new Response(value, { headers });
  },

  async "PUT values"({ kv, key, query, request }) {
    let value, metadata;
    if (request.headers.get("content-type")?.startsWith("multipart/form-data")) {
      const form = await request.formData();
      const text = async (part) => (part instanceof Blob ? await part.text() : part);
      value = form.get("value");
      if (value === null) throw new Refusal(400, 10001, "There is no value");
      if (value instanceof Blob) value = await value.arrayBuffer();
      if (form.has("metadata")) metadata = parseJson(await text(form.get("metadata")));
    } else {
      value = await request.arrayBuffer();
    }
    const expiry = { expiration: number(query.get("expiration")), expirationTtl: number(query.get("expiration_ttl")) };
    checkExpiry(expiry);
    await kv.put(key, value, { ...expiry, metadata });
    return envelope({});
  },

  async "DELETE values"({ kv, key }) {
    await kv.delete(key);
    return envelope({});
  },

  async "GET metadata"({ kv, key }) {
    const { value, metadata } = await kv.getWithMetadata(key, "stream");
    if (value === null) throw new Refusal(404, 10009, "get: 'key not found'");
    await value.cancel();
    return envelope(metadata);
  },

  async "PUT bulk"({ kv, request }) {
    const pairs = await body(request, (pairs) => Array.isArray(pairs) && pairs.length <= MOST_PAIRS);
    const writes = new Map();
    for (const pair of pairs) {
      const { key, value, base64, expiration, expiration_ttl: expirationTtl, metadata } = pair;
      if (!isKey(key)) throw new Refusal(400, 10001, "A key has not the right form");
      if (typeof value !== "string" || value.length > LONGEST_VALUE) throw new Refusal(400, 10001, "A value has not the right form");
      checkExpiry({ expiration, expirationTtl });
      if (writes.has(key) && JSON.stringify(writes.get(key).pair) !== JSON.stringify(pair)) {
        throw new Refusal(400, 10001, "A key stands twice, with different values");
      }
      const decoded = base64 ? Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0)) : value;
      writes.set(key, { pair, put: () => kv.put(key, decoded, { expiration, expirationTtl, metadata }) });
    }
    return envelope(await allOf([...writes.keys()], (key) => writes.get(key).put()));
  },

  async "POST bulk/delete"({ kv, request }) {
    const keys = await body(request, (keys) => Array.isArray(keys) && keys.length <= MOST_PAIRS && keys.every(isKey));
    return envelope(await allOf([...new Set(keys)], (key) => kv.delete(key)));
  },

  async "POST bulk/get"({ kv, request }) {
    const { keys, type = "text", withMetadata = false } = await body(request, ({ keys }) => Array.isArray(keys) && keys.every(isKey));
    const values = [...(await (withMetadata ? kv.getWithMetadata(keys, type) : kv.get(keys, type)))];
    if (!withMetadata) return envelope({ values: Object.fromEntries(values) });
    const present = values.filter(([, found]) => found !== null && found.value !== null);
    const ends = await expirations(kv, present.map(([key]) => key));
    const entries = present.map(([key, { value, metadata }]) => [key, { value, metadata, expiration: ends.get(key) }]);
    return envelope({ values: Object.fromEntries([...values.map(([key]) => [key, null]), ...entries]) });
  },
};

function listNamespaces(query, namespaces) {
  const page = number(query.get("page")) ?? 1;
  const size = number(query.get("per_page")) ?? 20;
  const ids = Object.keys(namespaces).sort();
  const result = ids.slice((page - 1) * size, page * size).map((id) => ({ id, title: id, supports_url_encoding: true }));
  return envelope(result, { result_info: { count: result.length, page, per_page: size, total_count: ids.length } });
}

async function route(request, url, namespaces) {
  authenticate(request.headers);
  const found = /^\/client\/v4\/accounts\/([^/]+)\/storage\/kv\/namespaces(?:\/(.*))?$/.exec(url.pathname);
  if (!found) throw new Refusal(404, 7003, "Could not route to this path");
  const [, account, rest] = found;
  if (account !== ACCOUNT) throw new Refusal(403, 9109, "Unauthorized to access requested resource");
  if (rest === undefined) return listNamespaces(url.searchParams, namespaces);
  const [id, ...path] = rest.split("/");
  const kv = namespaces[id];
  if (!kv) throw new Refusal(404, 10013, "namespace not found");
  const withKey = path.length === 2 && ["values", "metadata"].includes(path[0]);
  const handler = routes[`${request.method} ${withKey ? path[0] : path.join("/")}`];
  if (!handler) throw new Refusal(405, 10405, "Method not allowed for this path");
  const key = withKey ? decodeURIComponent(path[1]) : undefined;
  return handler({ kv, key, query: url.searchParams, request });
}

export async function gateway(request, url, namespaces) {
  try {
    return await route(request, url, namespaces);
  } catch (error) {
    return refusal(error instanceof Refusal ? error : fromBinding(error));
  }
}
