/*
 * damas.js: a tracker's calls for browsers and for Node 18 and newer. No dependencies.
 *
 *   <script src="https://tracker/js/damas.js"></script>          the global `damas`
 *   import damas from "https://tracker/js/damas.mjs";            the same as a module of a page
 *   const damas = require("./damas.js");                         Node; `import damas from "./damas.js"` too
 *
 * Without a callback a call returns the value: damas.lock("/path") -> true. With a function as last argument it returns
 * at once and the function is given the value. damas.async.lock("/path") is a promise of it. Every name also exists with
 * `_rest` behind it.
 *
 * A value is what the tracker answered, or null (false for lock, unlock and verify) when it refused; damas.refusal then
 * says why: { status, code, error }. A tracker that cannot be reached throws; a callback is given null instead.
 */
(function (root) {
  "use strict";

  // The tracker this file came from writes its address here.
  const SERVED_BY = "@SERVER@";
  const SYNC_LIMIT = 120000; // ms a blocking call waits in Node
  const FIRST_PAUSE = 1000; // ms before a feed that broke off is asked for again; each time twice as long
  const LONGEST_PAUSE = 30000;

  // --- the calls: what each sends. `test`: only whether it succeeded counts. ---------------------------------------

  const json = (method, path) => (value) => ({ method, path, body: value });
  const text = (path) => (query) => ({ method: "GET", path: path + encodeURIComponent(query) });
  const walk = (name) => (ids, depth) => ({ method: "POST", path: `${name}/${depth || 0}/`, body: ids });
  const test = (describe) => (...given) => ({ ...describe(...given), test: true });

  const CALLS = {
    create: json("POST", "create/"),
    read: json("POST", "read/"),
    update: json("PUT", "update/"),
    upsert: json("POST", "upsert/"),
    delete: json("DELETE", "delete/"),
    publish: json("POST", "publish/"),
    comment: json("POST", "comment/"),
    lock: test(json("PUT", "lock/")),
    unlock: test(json("PUT", "unlock/")),
    version: (id, keys) => ({ method: "POST", path: "version/" + encodeURIComponent(id), body: keys }),
    search: text("search/"),
    search_one: text("search_one/"),
    search_mongo: (query, sort, limit, skip) => ({
      method: "POST", path: "search_mongo/",
      body: { query, sort: sort || {}, limit: limit || 0, skip: skip || 0 },
    }),
    graph: walk("graph"),
    graph_backwards: walk("graph_backwards"),
    graph_forwards: walk("graph_forwards"),
    graphDelete: json("DELETE", "graphDelete/"),
    sites: () => ({ method: "GET", path: "sites", read: (answer) => answer.sites }),
    status: () => ({ method: "GET", path: "status" }),
    why: (path, site) => ({ method: "GET", path: "why?" + new URLSearchParams({ path, site }) }),
    log: (path) => ({ method: "GET", path: "log?" + new URLSearchParams({ path }), read: (answer) => answer.entries }),
    verify: test(() => ({ method: "GET", path: "verify/" })),
    createToken: (expiresIn) => ({ method: "POST", path: "createToken/", body: { expiresIn } }),
    signIn: (username, password, expiresIn) => ({
      method: "POST", path: "signIn/",
      form: expiresIn === undefined ? { username, password } : { username, password, expiresIn },
      read(answer, damas) {
        damas.token = answer.token;
        damas.user = answer.user;
        return answer;
      },
    }),
    signOut: () => ({
      method: "POST", path: "signOut/",
      end(damas) {
        damas.token = damas.user = null;
        return true; // whatever the tracker says, the token is not used any more
      },
    }),
  };

  // --- from a call to a request, from an answer to a value ----------------------------------------------------------

  function api(damas) {
    const server = damas.server || (root.location ? root.location.origin : "");
    if (!server) throw new Error("damas.server has to be the address of a tracker, like https://tracker:8443");
    return server.replace(/\/+$/, "").replace(/\/api$/, "") + "/api/";
  }

  function headersOf(damas, more) {
    return damas.token ? { ...more, Authorization: "Bearer " + damas.token } : more;
  }

  function requestOf(damas, call) {
    const request = { url: api(damas) + call.path, method: call.method, headers: headersOf(damas, { Accept: "application/json" }) };
    if (call.form) {
      request.headers["Content-Type"] = "application/x-www-form-urlencoded";
      request.body = new URLSearchParams(call.form).toString();
    } else if (call.body !== undefined) {
      request.headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(call.body);
    }
    return request;
  }

  function valueOf(damas, call, answer) {
    const good = answer.status < 300;
    damas.refusal = good ? null : refusalOf(answer);
    if (call.end) return call.end(damas);
    if (call.test) return good;
    if (!good) return null;
    const value = JSON.parse(answer.text);
    return call.read ? call.read(value, damas) : value;
  }

  function refusalOf(answer) {
    try {
      const { error, code } = JSON.parse(answer.text);
      if (error) return { status: answer.status, code, error };
    } catch (notJson) {
      // a proxy's own page
    }
    return { status: answer.status, code: "refused", error: answer.text };
  }

  function unreachable(damas, reason) {
    const error = new Error(`${api(damas)}: no answer (${reason}); check the address and that the tracker runs`);
    damas.refusal = { status: 0, code: "site-unreachable", error: error.message };
    return error;
  }

  // --- carrying requests ---------------------------------------------------------------------------------------------

  async function exchange(request) {
    const response = await fetch(request.url, request);
    return { status: response.status, text: await response.text() };
  }

  function exchangeNow(request) {
    if (typeof XMLHttpRequest === "function") return byXhr(request);
    inNode = inNode || nodeWorker();
    return inNode(request);
  }

  function byXhr(request) {
    const xhr = new XMLHttpRequest();
    xhr.open(request.method, request.url, false);
    for (const name of Object.keys(request.headers)) xhr.setRequestHeader(name, request.headers[name]);
    xhr.send(request.body);
    return { status: xhr.status, text: xhr.responseText };
  }

  // Node has no blocking request: a thread makes it, and this one sleeps until the answer is there.
  let inNode = null;
  const THREAD = `
    const { port, done } = require("worker_threads").workerData;
    port.on("message", async ({ id, request }) => {
      let answer;
      try {
        const response = await fetch(request.url, request);
        answer = { id, status: response.status, text: await response.text() };
      } catch (error) {
        answer = { id, failed: String((error.cause && error.cause.message) || error.message) };
      }
      port.postMessage(answer);
      Atomics.store(done, 0, id);
      Atomics.notify(done, 0);
    });`;

  function nodeWorker() {
    const { Worker, MessageChannel, receiveMessageOnPort } = nodeModule("worker_threads");
    const { port1, port2 } = new MessageChannel();
    const done = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(THREAD, { eval: true, workerData: { port: port2, done }, transferList: [port2] });
    worker.unref(); // it does not keep the program from ending
    port1.unref();
    let id = 0;
    return function (request) {
      id += 1;
      port1.postMessage({ id, request });
      const until = Date.now() + SYNC_LIMIT;
      for (let seen = Atomics.load(done, 0); seen !== id; seen = Atomics.load(done, 0)) {
        if (Atomics.wait(done, 0, seen, until - Date.now()) === "timed-out") throw new Error("no answer in time");
      }
      for (let got = receiveMessageOnPort(port1); got; got = receiveMessageOnPort(port1)) {
        if (got.message.id !== id) continue; // late, of a call that was given up
        if (got.message.failed) throw new Error(got.message.failed);
        return got.message;
      }
      throw new Error("the answer was lost");
    };
  }

  function nodeModule(name) {
    if (typeof require === "function") return require(name);
    if (root.process && root.process.getBuiltinModule) return root.process.getBuiltinModule(name);
    throw new Error("calls that block need a page or Node; use a callback or damas.async here");
  }

  // --- the three ways to call ------------------------------------------------------------------------------------------

  function now(damas, call) {
    let answer;
    try {
      answer = exchangeNow(requestOf(damas, call));
    } catch (error) {
      throw unreachable(damas, error.message);
    }
    return valueOf(damas, call, answer);
  }

  async function later(damas, call) {
    let answer;
    try {
      answer = await exchange(requestOf(damas, call));
    } catch (error) {
      throw unreachable(damas, (error.cause && error.cause.message) || error.message);
    }
    return valueOf(damas, call, answer);
  }

  function told(damas, call, callback) {
    later(damas, call).catch(() => (call.test ? false : null)).then(callback);
  }

  function addCalls(damas) {
    for (const name of Object.keys(CALLS)) {
      damas.async[name] = (...given) => later(damas, CALLS[name](...given));
      damas[name] = damas[name + "_rest"] = (...given) => {
        const last = given[given.length - 1];
        if (typeof last !== "function") return now(damas, CALLS[name](...given));
        told(damas, CALLS[name](...given.slice(0, -1)), last);
        return undefined;
      };
    }
  }

  // --- events: over Socket.IO where a page has loaded it, else over the change feed --------------------------------------

  class Events {
    constructor(damas) {
      this.damas = damas;
      this.listeners = {};
      this.source = null;
    }

    on(name, listener) {
      (this.listeners[name] = this.listeners[name] || []).push(listener);
      if (!this.source) this.source = root.io ? this.bySocket() : this.byFeed();
    }

    off(name, listener) {
      this.listeners[name] = (this.listeners[name] || []).filter((each) => each !== listener);
    }

    emit(name, value) {
      for (const listener of this.listeners[name] || []) listener(value);
    }

    close() {
      if (this.source) this.source.close();
      this.source = null;
    }

    bySocket() {
      const address = new URL(api(this.damas).replace(/\/api\/$/, ""));
      const path = address.pathname.replace(/\/$/, "") + "/socket.io";
      const socket = root.io(address.origin, { path, auth: { token: this.damas.token } });
      for (const name of ["create", "update", "remove"]) socket.on(name, (items) => this.emit(name, items));
      socket.on("connect", () => this.emit("open"));
      return socket;
    }

    // The feed tells how an element is now, not whether it is new: what was created comes as an update.
    byFeed() {
      return follow(this.damas, {
        open: () => this.emit("open"),
        change: (entry) => (entry.kind === "removed" ? this.emit("remove", [entry._id]) : this.emit("update", [entry.element])),
        end: (refusal) => this.emit("end", refusal),
      });
    }
  }

  // Follow the change feed over breaks and restarts, until close() or a refusal. `asked` may have since, prefix, query.
  function follow(damas, hear, asked) {
    const stop = new AbortController();
    const feed = { cursor: (asked && asked.since) || "", close: () => stop.abort() };
    const listen = async () => {
      for (let pause = FIRST_PAUSE; !stop.signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
        try {
          const query = new URLSearchParams({ ...asked, since: feed.cursor });
          const headers = headersOf(damas, { Accept: "text/event-stream, application/json" });
          const response = await fetch(api(damas) + "changes?" + query, { headers, signal: stop.signal });
          if (response.ok) {
            pause = FIRST_PAUSE;
            await hearEvents(response.body.getReader(), feed, hear);
          } else if (response.status < 500 && response.status !== 429) {
            damas.refusal = refusalOf({ status: response.status, text: await response.text() });
            if (hear.end) hear.end(damas.refusal);
            return;
          }
        } catch (error) {
          if (error instanceof ListenerFailed) throw error.cause;
          // the line broke off, or nobody answers: once more
        }
        if (!stop.signal.aborted) await new Promise((done) => setTimeout(done, pause));
      }
    };
    listen();
    return feed;
  }

  class ListenerFailed extends Error {}

  async function hearEvents(reader, feed, hear) {
    const decoder = new TextDecoder();
    let left = "";
    let opened = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (left + decoder.decode(value, { stream: true })).split("\n\n");
      left = blocks.pop();
      for (const block of blocks) {
        const event = eventOf(block);
        if (event.event === "end") return; // asked for again; a refusal then says why
        try {
          if (event.data) hear.change(JSON.parse(event.data));
          if (event.id) feed.cursor = event.id;
          if (event.id && !opened && hear.open) hear.open();
        } catch (error) {
          throw Object.assign(new ListenerFailed(error.message), { cause: error });
        }
        opened = opened || Boolean(event.id);
      }
    }
  }

  function eventOf(block) {
    const event = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ");
      if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
    }
    return event;
  }

  // --- one tracker -----------------------------------------------------------------------------------------------------

  // Another tracker, or the same one as another user; `damas` itself is connect() of where this file came from.
  function connect(server, token) {
    const damas = { server: server || "", token: token || null, user: null, refusal: null, async: {}, connect };
    addCalls(damas);
    const events = new Events(damas);
    damas.on = (name, listener) => events.on(name, listener); // create, update, remove; open; end
    damas.off = (name, listener) => events.off(name, listener);
    damas.close = () => events.close();
    damas.changes = (change, asked) => follow(damas, typeof change === "function" ? { change } : change, asked);
    return damas;
  }

  function home() {
    const script = root.document && root.document.currentScript;
    if (script && /\/js\/damas\.js(\?.*)?$/.test(script.src)) return script.src.replace(/\/js\/damas\.js(\?.*)?$/, "");
    return SERVED_BY.startsWith("http") ? SERVED_BY : "";
  }

  const damas = connect(home());
  root.damas = damas;
  if (typeof module === "object" && module.exports) module.exports = damas;
  else if (typeof define === "function" && define.amd) define(() => damas);
})(globalThis);
