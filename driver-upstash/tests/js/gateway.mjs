// The REST API of Upstash over a Redis: gateway.mjs <port> <url of the Redis>, with the token in GATEWAY_TOKEN.
// Knows what the documentation of the API says; official.mjs proves it by the official client.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";

const [port, url] = process.argv.slice(2);
const token = process.env.GATEWAY_TOKEN;
const OK = Buffer.from("OK");
const redis = new Redis(url, { maxRetriesPerRequest: 0 });

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Buffers as texts of JSON. Without an encoding, what is no UTF-8 is lost, as at Upstash.
function encoded(reply, base64) {
  if (reply instanceof Error) return { error: reply.message };
  if (Array.isArray(reply)) return reply.map((item) => encoded(item, base64));
  if (!Buffer.isBuffer(reply)) return reply;
  return reply.toString(base64 ? "base64" : "utf8");
}

// The service leaves an `OK` as it is, and the official client takes it so where it is a whole result.
function row(reply, base64) {
  if (reply instanceof Error) return { error: reply.message };
  return { result: encoded(reply, base64 && !(Buffer.isBuffer(reply) && reply.equals(OK))) };
}

// Arguments may be texts, numbers, booleans, and whatever else has a text as JSON.
function checked(command) {
  if (!Array.isArray(command) || command.length === 0) throw new Refusal(400, "ERR empty command");
  return command.map((argument) => (typeof argument === "string" ? argument : JSON.stringify(argument)));
}

const call = (connection, [name, ...given]) => connection.callBuffer(name, ...given);
const caught = (promise) => promise.catch((error) => error);

async function pipeline(commands) {
  return Promise.all(commands.map((command) => caught(call(redis, command))));
}

// On a connection of its own, since a transaction is one connection's.
async function transaction(commands) {
  const own = redis.duplicate();
  try {
    await own.callBuffer("MULTI");
    await Promise.all(commands.map((command) => caught(call(own, command))));
    const replies = await caught(own.callBuffer("EXEC"));
    if (replies instanceof Error) throw new Refusal(400, replies.message);
    return replies;
  } finally {
    own.disconnect();
  }
}

async function answer(request, body) {
  if (request.headers.authorization !== `Bearer ${token}`) {
    throw new Refusal(401, "WRONGPASS invalid or missing auth token");
  }
  if (request.method !== "POST") throw new Refusal(405, "ERR method not allowed");
  const base64 = request.headers["upstash-encoding"] === "base64";
  let commands;
  try {
    commands = JSON.parse(body);
  } catch {
    throw new Refusal(400, "ERR failed to parse the body as JSON");
  }
  switch (request.url) {
    case "/": {
      const reply = await caught(call(redis, checked(commands)));
      if (reply instanceof Error) throw new Refusal(400, reply.message);
      return row(reply, base64);
    }
    case "/pipeline":
      return (await pipeline(commands.map(checked))).map((reply) => row(reply, base64));
    case "/multi-exec":
      return (await transaction(commands.map(checked))).map((reply) => row(reply, base64));
    default:
      throw new Refusal(404, "ERR no such endpoint");
  }
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const server = createServer(async (request, response) => {
  let [status, body] = [200, undefined];
  try {
    body = await answer(request, await read(request));
  } catch (error) {
    status = error.status ?? 500;
    body = { error: error.message };
  }
  response.writeHead(status, { "content-type": "application/json", "upstash-sync-token": randomUUID() });
  response.end(JSON.stringify(body));
});
// Longer than the clients keep a connection, as at the service.
server.keepAliveTimeout = 60_000;
server.listen(Number(port), "127.0.0.1");
