// unstorage on a table of a PostgreSQL database.
import { createDatabase } from "db0";
import postgresql from "db0/connectors/postgresql";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";
import { serve, storageCalls } from "./calls.mjs";

const database = createDatabase(postgresql({ url: process.argv[2] }));
const storage = createStorage({ driver: db0Driver({ database }) });

await serve(storageCalls(storage));
