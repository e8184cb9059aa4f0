// unstorage on a folder: the version (`1`, `2`), the driver (`fs`, `fs-lite`), its options as JSON.
import { serve, storageCalls } from "./calls.mjs";

const [version, name, options] = process.argv.slice(2);
const packaged = version === "2" ? "unstorage-2" : "unstorage";
const { createStorage } = await import(packaged);
const { default: driver } = await import(`${packaged}/drivers/${name}`);
const storage = createStorage({ driver: driver(JSON.parse(options)) });

await serve({
  ...storageCalls(storage),
  // Writes each of 20 items again and again, and what was there before is read back from others meanwhile.
  async hammer(count) {
    for (let index = 0; index < count; index++) {
      const key = `js:${index % 20}`;
      const value = [index, "x".repeat((index * 7919) % 5000)];
      await storage.setItem(key, value);
      const read = await storage.getItem(key);
      if (JSON.stringify(read) !== JSON.stringify(value)) throw new Error(`another value than was written`);
      await storage.setItem("both", value);
    }
  },
});
