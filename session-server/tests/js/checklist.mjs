// What unstorage's own test of drivers checks (test/drivers/utils.ts), in words of ours: each check has the number of
// its line there. They are run in this order on one storage, as there.
import assert from "node:assert/strict";

class Custom {
  constructor(value) {
    this.value = value;
  }
  toJSON() {
    return this.value;
  }
}

const checks = (unstorage, storage) => ({
  35: async () => {
    await unstorage.restoreSnapshot(storage, { initial: "works" });
    assert.equal(await storage.getItem("initial"), "works");
    await storage.clear();
  },
  42: async () => assert.equal(await storage.hasItem("s1:a"), false),
  43: async () => assert.equal(await storage.getItem("s2:a"), null),
  44: async () => assert.deepEqual(await storage.getKeys(), []),
  51: async () => {
    for (const key of ["s1:a", "s2:a"]) await storage.setItem(key, "test_data");
    assert.equal(await storage.hasItem("s1:a"), true);
  },
  52: async () => assert.equal(await storage.getItem("s1:a"), "test_data"),
  53: async () => {
    await storage.setItem("s3:a?q=1", "test_data");
    assert.equal(await storage.getItem("s3:a?q=2"), "test_data");
  },
  60: async () => assert.deepEqual((await storage.getKeys()).sort(), ["s1:a", "s2:a", "s3:a"]),
  63: async () => assert.deepEqual(await storage.getKeys("s1"), ["s1:a"]),
  72: async () => {
    await storage.clear();
    for (const key of ["depth0:depth1:depth2_0", "depth0:depth1:depth2_1", "depth0:depth1_0", "depth0:depth1_1", "depth0_0"]) {
      await storage.setItem(key, "test_data");
    }
    assert.deepEqual(await storage.getKeys(undefined, { maxDepth: 0 }), ["depth0_0"]);
  },
  73: async () =>
    assert.deepEqual((await storage.getKeys(undefined, { maxDepth: 1 })).sort(), [
      "depth0:depth1_0",
      "depth0:depth1_1",
      "depth0_0",
    ]),
  78: async () => assert.equal((await storage.getKeys(undefined, { maxDepth: 2 })).length, 5),
  87: async () => {
    await storage.setItem("/data/test.json", { json: "works" });
    assert.deepEqual(await storage.getItem("/data/test.json"), { json: "works" });
  },
  94: async () => {
    await storage.setItem("/data/true.json", true);
    assert.equal(await storage.getItem("/data/true.json"), true);
  },
  105: async () => {
    await storage.setItem("/data/serialized1.json", new Custom("SERIALIZED"));
    assert.equal(await storage.getItem("/data/serialized1.json"), "SERIALIZED");
  },
  112: async () => {
    await storage.setItem("/data/serialized2.json", new Custom({ serializedObj: "works" }));
    assert.deepEqual(await storage.getItem("/data/serialized2.json"), { serializedObj: "works" });
  },
  118: () => assert.rejects(async () => storage.setItem("/data/badvalue.json", new (class {})()), /Cannot stringify/),
  133: async () => {
    await storage.setItemRaw("/data/raw.bin", new Uint8Array([1, 2, 3]));
    assert.equal(new Uint8Array(await storage.getItemRaw("/data/raw.bin")).length, 3);
  },
  134: async () => {
    const bytes = Buffer.from(await storage.getItemRaw("/data/raw.bin"));
    assert.equal(bytes.toString("base64"), "AQID");
  },
  138: async () => {
    await storage.setItems(["1", "2", "3"].map((name) => ({ key: `t:${name}`, value: `test_data_t${name}` })));
    for (const name of ["1", "2", "3"]) assert.equal(await storage.getItem(`t:${name}`), `test_data_t${name}`);
  },
  149: async () => {
    for (const key of ["v1:a", "v2:a", "v3:a?q=1"]) await storage.setItem(key, "test_data");
    const items = await storage.getItems([{ key: "v1:a" }, "v2:a", { key: "v3:a?q=1" }, "v4:undefined"]);
    assert.deepEqual(items, [
      { key: "v1:a", value: "test_data" },
      { key: "v2:a", value: "test_data" },
      { key: "v3:a", value: "test_data" },
      { key: "v4:undefined", value: null },
    ]);
  },
  178: async () => {
    await storage.setItem("zero", 0);
    assert.equal(await storage.getItem("zero"), 0);
  },
  181: async () => {
    await storage.setItem("my-false-flag", false);
    assert.equal(await storage.getItem("my-false-flag"), false);
  },
  190: async () => {
    await storage.setItem("s1:a", "test_data");
    await storage.removeItem("s1:a", false);
    assert.equal(await storage.hasItem("s1:a"), false);
  },
  192: async () => assert.equal(await storage.getItem("s1:a"), null),
  196: async () => {
    await storage.clear();
    assert.deepEqual(await storage.getKeys(), []);
  },
  199: async () => {
    await storage.clear();
    await storage.clear();
  },
});

// The lines whose check passed, and what went wrong with the others.
export async function checklist(unstorage, driver) {
  const passed = [];
  const failed = {};
  const storage = unstorage.createStorage({ driver });
  for (const [line, check] of Object.entries(checks(unstorage, storage))) {
    try {
      await check();
      passed.push(Number(line));
    } catch (error) {
      failed[line] = String(error);
    }
  }
  return { passed, failed };
}
