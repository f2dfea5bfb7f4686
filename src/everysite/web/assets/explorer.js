"use strict";
// Sends the forms of the page at /api/docs. The token lives in this variable only: it is gone with the page.
const base = document.querySelector(".explorer").dataset.base;
const MOST = 200000; // characters shown of one answer
let token = "";

function headers(more) {
  return token ? { Accept: "application/json, */*", Authorization: "Bearer " + token, ...more } : { Accept: "application/json, */*", ...more };
}

document.getElementById("signin").addEventListener("submit", async (event) => {
  event.preventDefault();
  const who = document.getElementById("who"), form = event.target;
  try {
    const said = await fetch(base + "/api/signIn", {
      method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ username: form.username.value, password: form.password.value }),
    });
    const found = await said.json();
    token = said.ok ? found.token : "";
    who.textContent = said.ok ? "signed in as " + found.username : (found.error || found);
    who.className = said.ok ? "" : "bad";
    if (said.ok) form.password.value = "";
  } catch (error) {
    who.textContent = String(error);
    who.className = "bad";
  }
});

document.getElementById("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll(".op"))
    one.hidden = !words.every((word) => one.dataset.words.includes(word));
  for (const section of document.querySelectorAll("section"))
    section.hidden = !section.querySelector(".op:not([hidden])");
});

document.addEventListener("change", (event) => {
  if (event.target.name === ":kind")
    event.target.form.elements[":body"].value = JSON.parse(event.target.dataset.examples)[event.target.value];
});

function request(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams(), parts = new FormData(), options = { method: form.dataset.method, headers: headers({}) };
  let multipart = false;
  for (const field of form.elements) {
    const [where, name] = field.name.split(/:(.*)/s);
    if (where === "path") path = path.replace("{" + name + "}", encodeURIComponent(field.value));
    else if (where === "query" && field.value !== "") query.append(name, field.value);
    else if (where === "part") {
      multipart = true;
      if (field.type === "file" && field.files.length) parts.append(name, field.files[0]);
      else if (field.type !== "file" && field.value !== "") parts.append(name, field.value);
    }
  }
  if (multipart) options.body = parts;
  else if (form.elements[":body"] && form.elements[":body"].value !== "") {
    options.body = form.elements[":body"].value;
    options.headers["Content-Type"] = form.elements[":kind"].value;
  }
  const search = query.toString();
  return [base + path + (search ? "?" + search : ""), options];
}

function pretty(text, kind) {
  if (kind.includes("json")) {
    try { return JSON.stringify(JSON.parse(text), null, 1); } catch (error) { return text; }
  }
  return text;
}

async function read(answer, show) {
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > MOST) { reader.cancel(); return text.slice(0, MOST) + "\n... more is not shown here"; }
    show(text);
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.classList.contains("try")) return;
  event.preventDefault();
  const box = form.parentElement.querySelector(".answer"), title = box.querySelector("h4"), body = box.querySelector("pre");
  const stop = form.querySelector(".stop"), control = new AbortController(), [url, options] = request(form);
  box.hidden = stop.hidden = false;
  title.textContent = options.method + " " + url + " ...";
  title.className = body.textContent = "";
  stop.onclick = () => control.abort();
  const begun = performance.now();
  try {
    const answer = await fetch(url, { ...options, signal: control.signal });
    const kind = answer.headers.get("Content-Type") || "";
    title.textContent = answer.status + " " + answer.statusText + " · " + Math.round(performance.now() - begun) + " ms · " + kind + " · " + options.method + " " + url;
    title.className = answer.ok ? "" : "bad";
    body.textContent = pretty(await read(answer, (text) => { body.textContent = text; }), kind);
  } catch (error) {
    title.className = "bad";
    title.textContent += " " + (control.signal.aborted ? "stopped" : error);
  }
  stop.hidden = true;
});
