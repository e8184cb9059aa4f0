// Cloudflare's own client on the gateway: what it does with Cloudflare it must be able to do here.
// Arguments: the API's URL, the account, a namespace of its own, the token.
import assert from "node:assert/strict";
import Cloudflare from "cloudflare";
import { serve } from "./calls.mjs";

const [apiUrl, account_id, namespace_id, apiToken] = process.argv.slice(2);
const client = (credentials) =>
  new Cloudflare({ baseURL: `${apiUrl}/client/v4`, maxRetries: 0, timeout: 20_000, apiToken: null, ...credentials });
const { namespaces } = client({ apiToken }).kv;
const { values, keys, metadata } = namespaces;
const here = { account_id, namespace_id };

const get = async (key) => Buffer.from(await (await values.get(key, here)).arrayBuffer());
const refused = (status, code) => (error) => error.status === status && (code === undefined || error.errors[0].code === code);

await serve({
  async namespaces() {
    const ids = [];
    for await (const { id } of namespaces.list({ account_id, per_page: 5 })) ids.push(id);
    assert.ok(ids.length > 5 && new Set(ids).size === ids.length);
    assert.ok(ids.includes(namespace_id));
  },

  async values() {
    for (const key of ["plain", "a/b c", "café:🔑", "100%", "#?&="]) {
      await values.update(key, { ...here, value: `value of ${key}` });
      assert.equal((await get(key)).toString(), `value of ${key}`);
      await values.delete(key, here);
      await assert.rejects(values.get(key, here), refused(404, 10009));
    }
    await values.update("empty", { ...here, value: "" });
    assert.equal((await get("empty")).length, 0);
    const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await values.update("binary", { ...here, value: new File([binary], "value") });
    assert.deepEqual(await get("binary"), binary);
  },

  async metadata() {
    await values.update("with", { ...here, value: "v", metadata: '{"expires":5}' });
    assert.deepEqual(await metadata.get("with", here), { expires: 5 });
    await values.update("with", { ...here, value: "w" });
    assert.equal(await metadata.get("with", here), null);
    await assert.rejects(metadata.get("without", here), refused(404, 10009));
  },

  async expiry() {
    const before = Math.floor(Date.now() / 1000);
    await values.update("ends", { ...here, value: "v", expiration_ttl: 90 });
    const expiration = Number((await values.get("ends", here)).headers.get("expiration"));
    assert.ok(expiration >= before + 90 && expiration <= before + 100, `${expiration}`);
    await values.update("ends", { ...here, value: "v", expiration: before + 500 });
    const { values: found } = await keys.bulkGet(namespace_id, { account_id, keys: ["ends"], withMetadata: true });
    assert.deepEqual(found.ends, { value: "v", metadata: null, expiration: before + 500 });
    await assert.rejects(values.update("soon", { ...here, value: "v", expiration_ttl: 59 }), refused(400));
    await assert.rejects(values.update("soon", { ...here, value: "v", expiration: before + 30 }), refused(400));
    const body = [{ key: "soon", value: "v", expiration_ttl: 5 }];
    await assert.rejects(keys.bulkUpdate(namespace_id, { account_id, body }), refused(400));
    await assert.rejects(values.get("soon", here), refused(404, 10009));
  },

  async bulk() {
    const body = Array.from({ length: 26 }, (_, n) => ({ key: `bulk:${n}`, value: `${n}`, metadata: { n }, expiration_ttl: 60 }));
    body.push({ key: "bulk:base64", value: Buffer.from([0, 255]).toString("base64"), base64: true });
    const written = await keys.bulkUpdate(namespace_id, { account_id, body });
    assert.deepEqual(written, { successful_key_count: 27, unsuccessful_keys: [] });
    assert.deepEqual(await get("bulk:base64"), Buffer.from([0, 255]));

    const names = [];
    let pages = 0;
    for await (const page of (await keys.list(namespace_id, { account_id, prefix: "bulk:", limit: 10 })).iterPages()) {
      pages += page.result.length > 0 ? 1 : 0;
      names.push(...page.result.map(({ name, metadata }) => `${name} ${metadata?.n}`));
    }
    assert.equal(pages, 3);
    const expected = body.map(({ key, metadata }) => `${key} ${metadata?.n}`);
    assert.deepEqual(names.sort(), expected.sort());

    const asked = ["bulk:1", "missing", "bulk:2"];
    const plain = await keys.bulkGet(namespace_id, { account_id, keys: asked });
    assert.deepEqual(plain.values, { "bulk:1": "1", missing: null, "bulk:2": "2" });
    const full = await keys.bulkGet(namespace_id, { account_id, keys: asked, withMetadata: true });
    assert.equal(full.values.missing, null);
    assert.deepEqual(full.values["bulk:1"].metadata, { n: 1 });
    const tooMany = Array.from({ length: 101 }, (_, n) => `bulk:${n}`);
    await assert.rejects(keys.bulkGet(namespace_id, { account_id, keys: tooMany }), refused(400));

    const twice = [{ key: "twice", value: "1" }, { key: "twice", value: "2" }];
    await assert.rejects(keys.bulkUpdate(namespace_id, { account_id, body: twice }), refused(400));
    const removed = await keys.bulkDelete(namespace_id, { account_id, body: [...body.map(({ key }) => key), "missing"] });
    assert.deepEqual(removed, { successful_key_count: 28, unsuccessful_keys: [] });
    assert.deepEqual((await keys.list(namespace_id, { account_id, prefix: "bulk:" })).result, []);
  },

  async limits() {
    const update = (key, value, metadata) => values.update(key, { ...here, value, metadata });
    await update("k".repeat(512), "v");
    await assert.rejects(update("k".repeat(513), "v"), refused(414));
    await update("long", "v".repeat(25 * 1024 * 1024));
    await assert.rejects(update("long", "v".repeat(25 * 1024 * 1024 + 1)), refused(413));
    await update("m", "v", JSON.stringify("m".repeat(1022)));
    await assert.rejects(update("m", "v", JSON.stringify("m".repeat(1023))), refused(413));
    await values.delete("long", here);
  },

  async credentials() {
    const list = (credentials, account = account_id, namespace = namespace_id) =>
      client(credentials).kv.namespaces.keys.list(namespace, { account_id: account });
    await list({ apiEmail: "tests@example.com", apiKey: "key-for-tests" });
    await list({ userServiceKey: "service-key-for-tests" });
    await assert.rejects(list({ apiToken: "wrong" }), refused(401));
    await assert.rejects(list({ apiEmail: "tests@example.com", apiKey: "wrong" }), refused(401));
    await assert.rejects(list({ apiToken }, "f".repeat(32)), refused(403));
    await assert.rejects(list({ apiToken }, account_id, "f".repeat(32)), refused(404, 10013));
  },
});
