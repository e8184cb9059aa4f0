// unstorage on a Redis: VERSION URL [BASE].
import { serve, storageCalls } from "./calls.mjs";

const [version, url, base] = process.argv.slice(2);
const name = version === "2" ? "unstorage-2" : "unstorage";
const { createStorage } = await import(name);
const { default: redisDriver } = await import(`${name}/drivers/redis`);
const storage = createStorage({ driver: redisDriver({ url, base }) });
await serve(storageCalls(storage));
