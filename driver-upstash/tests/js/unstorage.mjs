// unstorage over its own driver for Upstash: unstorage.mjs <url> [<base>], with the token in GATEWAY_TOKEN.
import { createStorage } from "unstorage";
import upstashDriver from "unstorage/drivers/upstash";
import { serve, storageCalls } from "./calls.mjs";

const [url, base] = process.argv.slice(2);
const driver = upstashDriver({ url, base, token: process.env.GATEWAY_TOKEN });
await serve(storageCalls(createStorage({ driver })));
