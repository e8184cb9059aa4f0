// A storage of unstorage, told what to do by calls: `http-1` and `http-2` are its http drivers of both versions on a
// server, `db0` its driver on a SQLite file.
import { createDatabase } from "db0";
import nodeSqlite from "db0/connectors/node-sqlite";
import * as unstorage1 from "unstorage";
import db0Driver from "unstorage/drivers/db0";
import http1 from "unstorage/drivers/http";
import * as unstorage2 from "unstorage-2";
import http2 from "unstorage-2/drivers/http";
import { serve, storageCalls } from "./calls.mjs";
import { checklist } from "./checklist.mjs";

console.warn = () => {}; // the db0 driver says at each start that it is experimental
const [kind, place, token] = process.argv.slice(2);
const headers = token ? { authorization: `Bearer ${token}` } : {};
const unstorage = kind === "http-2" ? unstorage2 : unstorage1;
const driver = {
  "http-1": () => http1({ base: place, headers }),
  "http-2": () => http2({ base: place, headers }),
  db0: () => db0Driver({ database: createDatabase(nodeSqlite({ path: place })) }),
}[kind]();
const storage = unstorage.createStorage({ driver });

// db0 waits for no lock, so a call that met one is made again.
async function insist(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!/locked/.test(String(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

await serve({
  ...storageCalls(storage),
  // `storage.clear(base)` does nothing where no mount is.
  clearBelow: (base) => driver.clear(`${base}:`),
  getMtime: async (key) => (await storage.getMeta(key)).mtime?.toISOString(),
  setMtime: (key, time) => storage.setMeta(key, { mtime: new Date(time) }),
  // Writes `count` items below `base` and reads each back.
  hammer: async (base, count) => {
    for (let index = 0; index < count; index++) {
      const key = `${base}:${index % 50}`;
      const value = { index, text: "ü".repeat(index % 7) };
      await insist(() => storage.setItem(key, value));
      const read = await insist(() => storage.getItem(key));
      if (JSON.stringify(read) !== JSON.stringify(value)) throw new Error(`read ${JSON.stringify(read)}`);
    }
  },
  checklist: () => checklist(unstorage, driver),
});
