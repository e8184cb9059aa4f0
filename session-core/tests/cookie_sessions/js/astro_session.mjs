// The npm package astro-session, on cookies of a name and a secret.
import { createCookieSessionStorage } from "astro-session";
import { serve } from "./calls.mjs";

const [name, secret] = process.argv.slice(2);
const { getSession, commitSession } = createCookieSessionStorage({}, { cookie: { name, secret } });

const sessionOf = (cookie) =>
  getSession(new Request("http://localhost/", cookie ? { headers: { cookie } } : {}));

await serve({
  async write(data, flash) {
    const session = await sessionOf();
    for (const [key, value] of Object.entries(data)) session.set(key, value);
    for (const [key, value] of Object.entries(flash)) session.flash(key, value);
    return commitSession(session);
  },
  async writeScript(key, script) {
    const session = await sessionOf();
    session.set(key, eval(script));
    return commitSession(session);
  },
  async read(cookie) {
    const session = await sessionOf(cookie);
    return { data: session.data, flash: session.flashedData };
  },
  // Reads and drops every flashed value, and commits.
  async take(cookie, keys) {
    const session = await sessionOf(cookie);
    const taken = keys.map((key) => session.flash(key));
    return { taken, cookie: await commitSession(session) };
  },
});
