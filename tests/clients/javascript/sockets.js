// The part of Socket.IO's own client that damas.js asks for, written for this test: protocol 4 over one WebSocket.
(function (root) {
  "use strict";

  root.io = function (origin, options) {
    const listeners = {};
    const emit = (name, ...values) => (listeners[name] || []).forEach((listener) => listener(...values));
    const line = new WebSocket(origin.replace(/^http/, "ws") + options.path + "/?EIO=4&transport=websocket");
    line.onmessage = ({ data }) => {
      if (data[0] === "0") line.send("40" + JSON.stringify(options.auth));
      else if (data === "2") line.send("3");
      else if (data.startsWith("40")) emit("connect");
      else if (data.startsWith("42")) emit(...JSON.parse(data.slice(2)));
    };
    return { on: (name, listener) => (listeners[name] = listeners[name] || []).push(listener), close: () => line.close() };
  };

  root.checkEvents = async function (damas, at) {
    const until = (name) => new Promise((done) => damas.on(name, done));
    damas.signIn("admin", "a-password");
    const [open, create, update, remove] = ["open", "create", "update", "remove"].map(until);
    await open;
    const key = `${at}/event`;
    damas.create({ _id: key });
    root.checkEqual((await create)[0]._id, key);
    damas.update({ _id: key, n: 1 });
    root.checkEqual((await update)[0].n, 1);
    damas.delete(key);
    root.checkEqual(await remove, [key]);
    damas.close();
    return "create update remove";
  };
})(globalThis);
