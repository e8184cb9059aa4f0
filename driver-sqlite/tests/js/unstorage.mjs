// unstorage on a SQLite file.
import { createDatabase } from "db0";
import nodeSqlite from "db0/connectors/node-sqlite";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";
import { serve, storageCalls } from "./calls.mjs";

console.warn = () => {}; // the driver says at each start that it is experimental
const database = createDatabase(nodeSqlite({ path: process.argv[2] }));
const storage = createStorage({ driver: db0Driver({ database }) });

const calls = {
  ...storageCalls(storage),
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

await serve(calls);
