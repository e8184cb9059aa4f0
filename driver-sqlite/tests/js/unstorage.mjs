// unstorage on a SQLite file, told what to do by lines of JSON on its input: { call, arguments }.
// It answers each with a line { result } or { error }.
import { createInterface } from "node:readline";
import { createDatabase } from "db0";
import nodeSqlite from "db0/connectors/node-sqlite";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";

console.warn = () => {}; // the driver says at each start that it is experimental
const database = createDatabase(nodeSqlite({ path: process.argv[2] }));
const storage = createStorage({ driver: db0Driver({ database }) });

const calls = {
  setItem: (key, value) => storage.setItem(key, value),
  getItem: (key) => storage.getItem(key),
  setItemRaw: (key, bytes) => storage.setItemRaw(key, Uint8Array.from(bytes)),
  getItemRaw: async (key) => {
    const bytes = await storage.getItemRaw(key);
    return bytes && Array.from(bytes);
  },
  hasItem: (key) => storage.hasItem(key),
  removeItem: (key) => storage.removeItem(key),
  getKeys: () => storage.getKeys(),
  // Writes `count` items and reads each back. db0 waits for no lock, so a refused call is made again.
  async hammer(count) {
    let refused = 0;
    const insist = async (call) => {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (!/locked/.test(error.message)) throw error;
          refused += 1;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    };
    for (let index = 0; index < count; index++) {
      const key = `js:${index % 50}`;
      await insist(() => storage.setItem(key, `value ${index}`));
      const read = await insist(() => storage.getItem(key));
      if (read !== `value ${index}`) throw new Error(`read ${read} after writing ${index}`);
    }
    return { refused };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, arguments: given } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await calls[call](...given)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
