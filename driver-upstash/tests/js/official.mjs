// Proves the gateway by the official client of Upstash: official.mjs <url>, with the token in GATEWAY_TOKEN.
import assert from "node:assert/strict";
import { Redis } from "@upstash/redis";

const [url] = process.argv.slice(2);
const token = process.env.GATEWAY_TOKEN;

// All that a client can be set to that changes what goes over the wire.
const clients = [
  { name: "as it comes" },
  { name: "without base64", responseEncoding: false },
  { name: "without pipelines of its own", enableAutoPipelining: false },
  { name: "without both", responseEncoding: false, enableAutoPipelining: false },
];

const checks = {
  async "SET takes its options"(redis) {
    assert.equal(await redis.set("k", "v"), "OK");
    assert.equal(await redis.get("k"), "v");
    assert.equal(await redis.set("k", "w", { nx: true }), null);
    assert.equal(await redis.set("none", "w", { xx: true }), null);
    assert.equal(await redis.set("k", "w", { xx: true, get: true }), "v");
    assert.equal(await redis.set("k", "x", { ex: 100 }), "OK");
    assert.equal(await redis.ttl("k"), 100);
    assert.equal(await redis.set("k", "y", { keepTtl: true }), "OK");
    assert.ok((await redis.ttl("k")) > 90);
    assert.equal(await redis.set("k", "z", { px: 5000 }), "OK");
    assert.ok((await redis.pttl("k")) > 4000);
  },
  async "GETEX, PERSIST, PEXPIRE, EXISTS and DEL"(redis) {
    await redis.set("k", "v");
    assert.equal(await redis.getex("k", { ex: 50 }), "v");
    assert.ok((await redis.ttl("k")) > 40);
    assert.equal(await redis.persist("k"), 1);
    assert.equal(await redis.pexpire("k", 9000), 1);
    assert.equal(await redis.exists("k", "none"), 1);
    assert.equal(await redis.del("k", "none"), 1);
    assert.equal(await redis.get("k"), null);
    await redis.set("k", "v");
    assert.equal(await redis.unlink("k"), 1);
  },
  async "texts of every sort come back"(redis) {
    for (const text of ["", "OK", "Grüße 👩‍👩‍👧 שלום", 'a "quoted"\n\\ text', "b\0c", "x".repeat(100_000)]) {
      await redis.set("text", text);
      assert.equal(await redis.get("text"), text);
      assert.deepEqual(await redis.mget("text", "none"), [text, null]);
    }
    await redis.set("object", { n: 1, list: [true, null] });
    assert.deepEqual(await redis.get("object"), { n: 1, list: [true, null] });
  },
  async "SCAN goes through all"(redis) {
    for (let n = 0; n < 30; n++) await redis.set(`scan:${n}`, n);
    const found = new Set();
    let cursor = "0";
    do {
      const [next, keys] = await redis.scan(cursor, { match: "scan:*", count: 5 });
      keys.forEach((key) => found.add(key));
      cursor = next;
    } while (cursor !== "0");
    assert.equal(found.size, 30);
  },
  async "EVAL takes keys and arguments, and nests"(redis) {
    await redis.set("k", "v");
    const script = "return {redis.call('GET', KEYS[1]), 7, false, {ARGV[1]}}";
    assert.deepEqual(await redis.eval(script, ["k"], ["argument"]), ["v", 7, null, ["argument"]]);
    await assert.rejects(redis.eval("return redis.call('NOSUCH')", [], []), /Unknown|unknown/);
  },
  async "a pipeline with a command that fails goes on"(redis) {
    await redis.set("text", "v");
    const pipeline = redis.pipeline().set("a", "1").lpush("text", "x").get("text");
    const [set, failed, get] = await pipeline.exec({ keepErrors: true });
    assert.equal(set.result, "OK");
    assert.match(failed.error, /WRONGTYPE/);
    assert.equal(get.result, "v");
  },
  async "a transaction is made whole, with the errors of its commands, or not at all"(redis) {
    await redis.set("text", "v");
    await redis.set("n", 0);
    assert.deepEqual(await redis.multi().incr("n").incr("n").get("text").exec(), [1, 2, "v"]);
    const some = await redis.multi().incr("n").lpush("text", "x").incr("n").exec({ keepErrors: true });
    assert.equal(some[0].result, 3);
    assert.match(some[1].error, /WRONGTYPE/);
    assert.equal(some[2].result, 4);
    const refused = await post("/multi-exec", [["INCR", "n"], ["NOSUCH"]]);
    assert.equal(refused.status, 400);
    assert.match(refused.body.error, /EXECABORT/);
    assert.equal(await redis.get("n"), 4);
  },
  async "numbers and booleans are arguments"(redis) {
    const { status, body } = await post("/", ["SET", "k", 12, "EX", 60]);
    assert.deepEqual([status, body.result], [200, "OK"]);
    assert.equal((await post("/", ["SET", "flag", true])).status, 200);
    assert.equal(await redis.get("k"), 12);
  },
};

async function post(path, commands, headers = { authorization: `Bearer ${token}` }, method = "POST") {
  const body = method === "POST" ? JSON.stringify(commands) : undefined;
  const response = await fetch(url + path, { method, headers, body });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

for (const { name, ...options } of clients) {
  const redis = new Redis({ url, token, ...options });
  for (const [what, check] of Object.entries(checks)) {
    await redis.flushdb();
    try {
      await check(redis);
    } catch (error) {
      throw new Error(`${what}, with the client ${name}`, { cause: error });
    }
  }
  await redis.flushdb();
}

// Nobody gets in without the token, and the client says so.
await assert.rejects(new Redis({ url, token: "wrong" }).get("k"), /WRONGPASS/);
for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: token }]) {
  const { status, body } = await post("/", ["PING"], headers);
  assert.equal(status, 401);
  assert.match(body.error, /^WRONGPASS/);
}
assert.equal((await post("/", ["SET", "k"])).status, 400);
assert.match((await post("/", ["NOSUCH"])).body.error, /^ERR unknown command/);
assert.equal((await post("/", [])).status, 400);
assert.equal((await post("/", undefined, { authorization: `Bearer ${token}` }, "PATCH")).status, 405);
assert.ok((await post("/", ["PING"])).headers.get("upstash-sync-token"));
// What is no UTF-8 is lost without the encoding, and is not with it.
const bytes = ["EVAL", "return string.char(255, 0, 97)", "0"];
const authorization = `Bearer ${token}`;
assert.equal((await post("/", bytes)).body.result, "\ufffd\0a");
assert.equal((await post("/", bytes, { authorization, "upstash-encoding": "base64" })).body.result, "/wBh");
console.log("proven");
