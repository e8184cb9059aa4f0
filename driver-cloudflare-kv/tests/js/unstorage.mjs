// unstorage on KV by the REST API. Arguments: the API's URL, the account, the namespace, the token, the base.
import { createStorage } from "unstorage";
import cloudflareKvHttp from "unstorage/drivers/cloudflare-kv-http";
import { serve, storageCalls } from "./calls.mjs";

const [apiURL, accountId, namespaceId, apiToken, base] = process.argv.slice(2);
const driver = cloudflareKvHttp({ apiURL, accountId, namespaceId, apiToken, base });
await serve(storageCalls(createStorage({ driver })));
