// Measures unstorage. A question is a line of JSON, { operation, callers, operations }, with the operations per caller.
// The answer is a line { seconds }.
// Arguments: `memory`, `db0`, `fs` or `redis`; a path, or a URL for `redis` (unused by `memory`); the number of sessions
// in use, the size of a value, and the number of sessions to write at the start.
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";
import fsDriver from "unstorage/drivers/fs";
import memoryDriver from "unstorage/drivers/memory";

const [kind, place, sessionsText, lengthText, writtenText] =
  process.argv.slice(2);
const sessions = Number(sessionsText);
const written = Number(writtenText);
const value = "x".repeat(Number(lengthText));

console.warn = () => {}; // db0 says at each start that it is experimental

async function open() {
  if (kind === "memory") return memoryDriver();
  if (kind === "fs") return fsDriver({ base: place });
  if (kind === "redis") {
    const { default: redisDriver } = await import("unstorage/drivers/redis");
    return redisDriver({ url: place, ttl: 86400, enableAutoPipelining: true });
  }
  const { createDatabase } = await import("db0");
  const { default: nodeSqlite } = await import("db0/connectors/node-sqlite");
  const database = createDatabase(nodeSqlite({ path: place }));
  for (const pragma of [
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "cache_size=-8192",
    "wal_autocheckpoint=4000",
  ]) {
    await database.exec(`PRAGMA ${pragma}`);
  }
  return db0Driver({ database });
}

const storage = createStorage({ driver: await open() });
const key = (session) =>
  `00000000-0000-4000-8000-${String(session).padStart(12, "0")}`;
const keys = Array.from({ length: sessions }, (_, session) => key(session));
for (let session = 0; session < written; session++) {
  await storage.setItem(key(session), value);
}

// Writing it to the disk is not measured with the rest.
if (kind === "fs") execFileSync("sync");

const operations = {
  read: (key) => storage.getItem(key),
  write: (key) => storage.setItem(key, value),
  commit: async (key) => {
    await storage.getItem(key);
    await storage.setItem(key, value);
  },
};

async function caller(number, operation, count) {
  let at = number * 7919;
  for (let done = 0; done < count; done++) {
    at = (at * 25173 + 13849) % 65536;
    await operation(keys[at % sessions]);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, callers, operations: count } = JSON.parse(line);
  const started = process.hrtime.bigint();
  const all = Array.from({ length: callers }, (_, number) =>
    caller(number, operations[operation], count),
  );
  await Promise.all(all);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  process.stdout.write(JSON.stringify({ seconds }) + "\n");
}

await storage.dispose(); // a connection would keep the process alive
