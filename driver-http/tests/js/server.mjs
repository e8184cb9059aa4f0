// unstorage's own server, of version 1 or 2 and over the driver that is asked for, on a port of loopback:
// server.mjs <port> <version> <driver> [<option of the driver>]
import { createServer } from "node:http";

const [port, version, driver, option] = process.argv.slice(2);
const unstorage = version === "1" ? "unstorage" : "unstorage-2";
const { createStorage } = await import(unstorage);
const server = await import(`${unstorage}/server`);

const open = {
  async memory() {
    return (await import(`${unstorage}/drivers/memory`)).default();
  },
  async redis() {
    return (await import(`${unstorage}/drivers/redis`)).default({ url: option, base: `v${version}` });
  },
  async fs() {
    return (await import(`${unstorage}/drivers/fs`)).default({ base: option });
  },
  async db0() {
    console.warn = () => {}; // the driver says at each start that it is experimental
    const { createDatabase } = await import("db0");
    const connector = (await import("db0/connectors/node-sqlite")).default;
    const database = createDatabase(connector({ path: option }));
    return (await import(`${unstorage}/drivers/db0`)).default({ database });
  },
};
const storage = createStorage({ driver: await open[driver]() });

// With a token in the environment, nobody is let in without it.
const token = process.env.STORAGE_TOKEN;
const check = (header) => {
  if (token && header !== `Bearer ${token}`) throw new Error("Wrong token");
};

let listener;
if (version === "1") {
  const authorize = ({ event }) => check(event.node.req.headers.authorization);
  listener = server.createStorageServer(storage, { authorize }).handle;
} else {
  const { toNodeHandler } = await import("srvx/node");
  const authorize = ({ request }) => check(request.headers.get("authorization"));
  listener = toNodeHandler(server.createStorageHandler(storage, { authorize }));
}
createServer(listener).listen(Number(port), "127.0.0.1");
