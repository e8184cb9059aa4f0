// Runs the db0 driver of unstorage on a database that another process also writes to. A question is a line of JSON,
// { milliseconds }. The answer is a line { seconds, written, refused, p50, p999 }, the last two in microseconds.
// Arguments: the database and the table.
import { createInterface } from "node:readline";
import { createDatabase } from "db0";
import nodeSqlite from "db0/connectors/node-sqlite";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";

const [path, tableName] = process.argv.slice(2);
const value = "x".repeat(600);

console.warn = () => {}; // db0 says at each start that it is experimental

const database = createDatabase(nodeSqlite({ path }));
await database.exec("PRAGMA synchronous=NORMAL");
const storage = createStorage({ driver: db0Driver({ database, tableName }) });

const isLocked = (error) => String(error).includes("database is locked");

// The driver makes its table with its first write, which may be refused as any other.
for (let made = false; !made; ) {
  try {
    await storage.setItem("second-0", value);
    made = true;
  } catch (error) {
    if (!isLocked(error)) throw error;
  }
}

const quantile = (sorted, at) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? 0;

let next = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const end = started + JSON.parse(line).milliseconds;
  const took = [];
  let refused = 0;
  for (let now = started; now < end; ) {
    try {
      await storage.setItem(`second-${next++ % 100}`, value);
      took.push((performance.now() - now) * 1000);
    } catch (error) {
      if (!isLocked(error)) throw error;
      refused++;
    }
    now = performance.now();
  }
  took.sort((a, b) => a - b);
  const seconds = (performance.now() - started) / 1000;
  const [p50, p999] = [quantile(took, 0.5), quantile(took, 0.999)];
  console.log(
    JSON.stringify({ seconds, written: took.length, refused, p50, p999 }),
  );
}
