// What every page of the dashboard does in the browser: the theme, ages that count on, questions before acts, words to search for.
// The server makes all content (app/dashboard); nothing here asks for anything.
"use strict";

(() => {
  const root = document.documentElement;
  const kept = (name, value) => {
    try {
      if (value === undefined) return localStorage.getItem(name) || "";
      if (value) localStorage.setItem(name, value);
      else localStorage.removeItem(name);
    } catch {
      // a browser that keeps nothing shows what the system prefers
    }
    return value || "";
  };

  // --- theme: the system's, until one is chosen ---------------------------------------------------------------------
  const THEMES = ["", "light", "dark"];
  const NAMES = { "": "system", light: "light", dark: "dark" };
  const dress = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    const button = document.querySelector("[data-theme-switch]");
    if (button) {
      button.textContent = `Theme: ${NAMES[theme]}`;
    }
    window.dispatchEvent(new Event("themechange"));
  };
  dress(kept("foreshock-theme"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("themechange")));

  // --- ages ---------------------------------------------------------------------------------------------------------
  const units = [
    [60, "s", 1],
    [3600, "min", 60],
    [86400, "h", 3600],
    [Infinity, "d", 86400],
  ];
  const whole = (seconds) => {
    const [, unit, factor] = units.find(([limit]) => seconds < limit);
    return `${Math.floor(seconds / factor)} ${unit}`;
  };
  // Ages are by the server's clock, which stamped what they are of.
  let skew = null; // not known before the page's head is read, which comes after this script
  window.serverNow = () => {
    const said = skew === null && document.querySelector("meta[name=foreshock-now]")?.content;
    if (said) skew = Number(said) - Date.now() / 1000;
    return Date.now() / 1000 + (Math.abs(skew ?? 0) > 5 ? skew : 0);
  };
  window.ageOf = (seconds, lasting) => {
    if (lasting) return `${whole(Math.max(seconds, 0))} so far`;
    return seconds < 0 ? `in ${whole(-seconds)}` : `${whole(seconds)} ago`;
  };
  const tell = (time) => {
    const text = window.ageOf(window.serverNow() - Date.parse(time.dateTime) / 1000, time.className === "lasting");
    if (time.textContent !== text) time.textContent = text;
  };
  const tellAll = () => document.querySelectorAll("time.age, time.lasting").forEach(tell);
  setInterval(tellAll, 1000);
  new MutationObserver(tellAll).observe(root, { childList: true, subtree: true });

  // --- what is said to people ---------------------------------------------------------------------------------------
  window.toast = (text, bad) => {
    let place = document.getElementById("toasts");
    if (!place) {
      place = Object.assign(document.createElement("div"), { id: "toasts" });
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    const line = Object.assign(document.createElement("p"), { textContent: text, className: bad ? "toast bad" : "toast" });
    place.append(line);
    setTimeout(() => line.remove(), bad ? 12000 : 5000);
  };

  // --- acts: a button names one; what changes something asks first ---------------------------------------------------
  const field = (label, name, value, type) => {
    const row = document.createElement("label");
    row.textContent = label;
    const input = Object.assign(document.createElement("input"), { name, value, type: type || "text" });
    if (type === "number") Object.assign(input, { min: 1, max: 43200, required: true });
    row.append(input);
    return row;
  };
  const FIELDS = {
    who: () => field("Your name (kept in this browser)", "who", kept("foreshock-who")),
    why: () => field("Why, in a few words", "why", ""),
    minutes: () => field("For how long, in minutes", "minutes", "60", "number"),
  };
  const ask = (button, done) => {
    const dialog = document.createElement("dialog");
    const form = document.createElement("form");
    form.method = "dialog";
    const title = Object.assign(document.createElement("h2"), { textContent: button.dataset.ask, id: "asked" });
    dialog.setAttribute("aria-labelledby", "asked");
    form.append(title);
    if (button.dataset.detail) form.append(Object.assign(document.createElement("p"), { textContent: button.dataset.detail }));
    for (const name of (button.dataset.fields || "").split(" ").filter(Boolean)) form.append(FIELDS[name]());
    const row = Object.assign(document.createElement("div"), { className: "buttons" });
    const cancel = Object.assign(document.createElement("button"), { type: "button", textContent: "Cancel" });
    const go = Object.assign(document.createElement("button"), { className: "primary", textContent: button.dataset.verb || "OK" });
    cancel.onclick = () => dialog.close("");
    row.append(cancel, go);
    form.append(row);
    form.onsubmit = () => {
      const given = Object.fromEntries(new FormData(form));
      if ("who" in given) kept("foreshock-who", given.who);
      done(given);
    };
    dialog.append(form);
    dialog.onclose = () => {
      dialog.remove();
      if (button.isConnected) button.focus();
    };
    document.body.append(dialog);
    dialog.showModal();
  };
  const act = (button, given) => emitEvent("act", { ...given, name: button.dataset.act, value: button.dataset.value || "" });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.dataset.act && button.dataset.ask) ask(button, (given) => act(button, given));
    else if (button.dataset.act) act(button, {});
    else if (button.dataset.copy) {
      const text = document.getElementById(button.dataset.copy).textContent;
      const done = () => window.toast("Copied.");
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done);
    } else if ("themeSwitch" in button.dataset) {
      const next = THEMES[(THEMES.indexOf(kept("foreshock-theme")) + 1) % THEMES.length];
      dress(kept("foreshock-theme", next));
    }
  });

  // --- the URL holds what is looked at -------------------------------------------------------------------------------
  window.sayInUrl = (name, value) => {
    const url = new URL(location.href);
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
    history.replaceState(history.state, "", url);
    document.querySelectorAll("form.scope input[name=q]").forEach((input) => (input.value = name === "q" ? value : input.value));
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("form.scope select")) event.target.form.requestSubmit();
  });
  let typing;
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.("input[data-search]")) return;
    clearTimeout(typing);
    const value = event.target.value;
    typing = setTimeout(() => {
      window.sayInUrl("q", value);
      emitEvent("search", value);
    }, 150);
  });
  document.addEventListener("keydown", (event) => {
    const typed = event.target.matches?.("input, select, textarea, [contenteditable]");
    if (event.key === "/" && !typed && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const box = document.querySelector("input[type=search]");
      if (box) {
        event.preventDefault();
        box.focus();
      }
    }
  });
  addEventListener("DOMContentLoaded", () => dress(kept("foreshock-theme")));
  new MutationObserver((_, observer) => {
    if (document.querySelector("[data-theme-switch]")) {
      observer.disconnect();
      dress(kept("foreshock-theme"));
    }
  }).observe(root, { childList: true, subtree: true });
})();
