// Answers calls from standard input. A call is a line of JSON, { call, arguments }; its answer is a line { result } or
// { error }.
import { createInterface } from "node:readline";

export async function serve(calls) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, arguments: given } = JSON.parse(line);
    let answer;
    try {
      answer = { result: (await calls[call](...given)) ?? null };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

// The calls for a storage of unstorage. Raw bytes are arrays of numbers.
export function storageCalls(storage) {
  return {
    setItem: (key, value, options) => storage.setItem(key, value, options),
    getItem: (key) => storage.getItem(key),
    setItemRaw: (key, bytes, options) => storage.setItemRaw(key, Uint8Array.from(bytes), options),
    getItemRaw: async (key) => {
      const bytes = await storage.getItemRaw(key);
      return bytes && Array.from(typeof bytes === "string" ? Buffer.from(bytes) : new Uint8Array(bytes));
    },
    hasItem: (key) => storage.hasItem(key),
    getMeta: (key) => storage.getMeta(key),
    setMeta: (key, meta) => storage.setMeta(key, meta),
    removeItem: (key) => storage.removeItem(key),
    getKeys: (base) => storage.getKeys(base),
    clear: (base) => storage.clear(base),
  };
}
