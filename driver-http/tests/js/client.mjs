// unstorage over its own HTTP driver: client.mjs <version> <url>
import { serve, storageCalls } from "./calls.mjs";

const [version, base] = process.argv.slice(2);
const unstorage = version === "1" ? "unstorage" : "unstorage-2";
const { createStorage } = await import(unstorage);
const httpDriver = (await import(`${unstorage}/drivers/http`)).default;
const headers = process.env.STORAGE_TOKEN && { authorization: `Bearer ${process.env.STORAGE_TOKEN}` };
await serve(storageCalls(createStorage({ driver: httpDriver({ base, headers }) })));
