// Every call of damas.js against a running tracker, in the three ways to call. The same file runs in Node and in a page.
(function (root) {
  "use strict";

  function equal(found, wanted, what) {
    const [one, two] = [JSON.stringify(found), JSON.stringify(wanted)];
    if (one !== two) throw new Error(`${what || "found"}: ${one} is not ${two}`);
  }

  const ids = (elements) => elements.map((element) => element && element._id);
  const until = (damas, name) => new Promise((done) => damas.on(name, done));
  const called = (call, ...given) => new Promise((done) => call(...given, done));

  function blocking(damas, at) {
    equal(damas.signIn("admin", "wrong"), null);
    equal(damas.refusal.status, 401);
    equal(damas.verify(), false);
    equal(damas.signIn("admin", "a-password").user.username, "admin");
    equal(damas.verify(), true);
    equal(damas.user.class, "admin");
    equal(damas.create({ _id: `${at}/a`, n: 1, at }).n, 1);
    equal(damas.create({ _id: `${at}/a` }), null);
    equal(damas.refusal.code, "conflict");
    equal(ids(damas.create([{ _id: `${at}/a` }, { _id: `${at}/b ä,?#%` }])), [null, `${at}/b ä,?#%`]);
    equal(damas.read(`${at}/b ä,?#%`)._id, `${at}/b ä,?#%`);
    equal(damas.refusal, null);
    equal(ids(damas.read([`${at}/a`, "/none"])), [`${at}/a`, null]);
    equal(damas.read("/none"), null);
    equal(damas.update({ _id: `${at}/a`, n: null, m: 2 }).n, undefined);
    equal(ids(damas.upsert([{ _id: `${at}/a`, m: 3 }, { _id: `${at}/c` }])), [`${at}/c`, `${at}/a`]);
    equal(damas.lock(`${at}/a`), true);
    equal(damas.lock([`${at}/a`, `${at}/c`]), true);
    equal(damas.unlock(`${at}/a`), true);
    equal(damas.unlock(`${at}/a`), false);
    equal(damas.lock("/none"), false);
    const item = { _id: `${at}/p`, origin: "rome", comment: "" };
    equal(damas.publish(item)[1]["#parent"], `${at}/p`);
    equal(damas.publish(item), null);
    const said = damas.comment({ "#parent": `${at}/a`, comment: "text" });
    equal([said["#parent"], said.comment, said.author], [`${at}/a`, "text", "admin"]);
    equal(damas.comment({ "#parent": [`${at}/a`, `${at}/c`], comment: "text" }).length, 2);
    equal(damas.version(`${at}/a`, { file: `${at}/v2` }).file, `${at}/v2`);
    equal(damas.search(`file:${at}/v2`), [`${at}/a`]);
    equal(damas.search("at:nothing ?#%"), []);
    equal(damas.search_one(`file:${at}/v2`)._id, `${at}/a`);
    equal(damas.search_one("file:none"), null);
    equal(damas.search_mongo({ file: `${at}/v2` }, { _id: 1 }, 1, 0), { count: 1, ids: [`${at}/a`] });
    damas.create({ _id: `${at}-link`, src_id: `${at}/a`, tgt_id: `${at}/c` });
    equal(ids(damas.graph(`${at}/c`)), [`${at}/c`, `${at}/a`, `${at}-link`]);
    equal(damas.graph_backwards(`${at}/c`, 0), [`${at}/c`, `${at}/a`, `${at}-link`]);
    equal(damas.graph_forwards([`${at}/a`], 1), [`${at}/a`, `${at}/c`, `${at}-link`]);
    equal(Array.isArray(damas.sites()), true);
    equal(damas.status().elements > 0, true);
    equal(damas.log(`${at}/p`).length > 0, true);
    equal(damas.createToken("2h").split(".").length, 3);
    equal(damas.delete([`${at}/c`, "/none"]), [`${at}/c`, null]);
    equal(damas.delete_rest(`${at}-link`), `${at}-link`);
  }

  async function byCallback(damas, at) {
    const element = await called(damas.create, { _id: `${at}/called` });
    equal(element._id, `${at}/called`);
    equal(await called(damas.create, { _id: `${at}/called` }), null);
    equal(await called(damas.search_mongo, { _id: `${at}/called` }, {}, 0, 0), { count: 1, ids: [`${at}/called`] });
    equal(await called(damas.lock_rest, `${at}/called`), true);
    equal(await called(damas.verify), true);
    equal((await called(damas.signIn, "admin", "a-password")).username, "admin");
    let at_once = true;
    const later = new Promise((done) => damas.read(`${at}/called`, () => done(at_once)));
    at_once = false;
    equal(await later, false, "a callback is never called at once");
  }

  async function byPromise(damas, at) {
    const one = damas.async;
    const made = await Promise.all([1, 2, 3].map((n) => one.create({ _id: `${at}/promised/${n}`, n })));
    equal(made.map((element) => element.n), [1, 2, 3]);
    equal(await one.read("/none"), null);
    equal(await one.unlock(`${at}/promised/1`), false);
    equal((await one.search(`_id:/^${at.replace(/\//g, "\\/")}.promised/`)).length, 3);
    const nowhere = damas.connect("http://127.0.0.1:65000");
    equal(await called(nowhere.lock, "/a"), false);
    equal(await called(nowhere.read, "/a"), null);
    equal(nowhere.refusal.code, "site-unreachable");
    const failed = await nowhere.async.read("/a").catch((error) => error.message);
    equal(failed.includes("http://127.0.0.1:65000/api/: no answer"), true, failed);
    let thrown = "";
    try {
      nowhere.read("/a");
    } catch (error) {
      thrown = error.message;
    }
    equal(thrown.includes("no answer"), true, "a call that blocks throws");
  }

  async function followed(damas, at) {
    const seen = [];
    let enough;
    const all = new Promise((done) => (enough = done));
    const hear = (entry) => seen.push(entry) === 3 && enough();
    const before = await new Promise((open) => {
      const feed = damas.changes({ open: () => open(feed), change: hear }, { prefix: `${at}/feed/` });
    });
    await damas.async.create([{ _id: `${at}/feed/a`, n: 1 }, { _id: `${at}/feed/b` }, { _id: `${at}/other` }]);
    await damas.async.delete(`${at}/feed/a`);
    await all;
    equal(seen.map((entry) => entry.kind), ["element", "element", "removed"]);
    equal(seen[0].element.n, 1);
    before.close();
    const again = await new Promise((done) => {
      const feed = damas.changes((entry) => (feed.close(), done(entry)), { since: seen[0].cursor, prefix: `${at}/feed/` });
    });
    equal(again._id, `${at}/feed/b`);
    const refused = await new Promise((end) => damas.changes({ change() {}, end }, { since: "another.1" }));
    equal(refused.code, "cursor-lost");
  }

  async function events(damas, at) {
    const open = until(damas, "open");
    const told = until(damas, "update");
    await open;
    await damas.async.create({ _id: `${at}/event` });
    equal(ids(await told), [`${at}/event`]);
    const gone = until(damas, "remove");
    await damas.async.delete(`${at}/event`);
    equal(await gone, [`${at}/event`]);
    damas.close();
  }

  root.checkCalls = async function (damas, at) {
    blocking(damas, at);
    await byCallback(damas, at);
    await byPromise(damas, at);
    await followed(damas, at);
    if (!root.io) await events(damas, at);
    equal(damas.signOut(), true);
    equal(damas.verify(), false);
    return "all calls";
  };
  root.checkEqual = equal;
  if (typeof module === "object") module.exports = { checkCalls: root.checkCalls, checkEqual: equal };
})(globalThis);
