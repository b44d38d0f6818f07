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
  // What is out of date says so, also when nothing comes any more.
  const expire = (chip) => {
    if (Number(chip.dataset.expires) > window.serverNow() || chip.dataset.status === "stale") return;
    chip.textContent = chip.dataset.status = "stale";
  };
  const tellAll = () => {
    document.querySelectorAll("time.age, time.lasting").forEach(tell);
    document.querySelectorAll("[data-expires]").forEach(expire);
  };
  setInterval(tellAll, 1000);
  new MutationObserver(tellAll).observe(root, { childList: true, subtree: true });

  // --- whether what is shown is live -----------------------------------------------------------------------------------
  const connected = () => Boolean(window.socket?.connected && window.did_handshake);
  let lastLive = 0;
  const beat = () => {
    const live = connected();
    if (live) lastLive = window.serverNow();
    const chip = document.getElementById("live");
    if (!chip || (!live && !lastLive && performance.now() < 5000)) return;
    const since = lastLive ? `since ${new Date(lastLive * 1000).toISOString().slice(11, 19)} UTC` : "no connection";
    const text = live ? "live" : `not live: ${since}`;
    if (chip.textContent === text) return;
    chip.textContent = text;
    chip.dataset.status = live ? "good" : "bad";
  };
  setInterval(beat, 500);

  // --- what is said to people ---------------------------------------------------------------------------------------
  const spoken = (id, role) => {
    const place = Object.assign(document.createElement("div"), { id, className: "toasts" });
    place.setAttribute("role", role);
    return place;
  };
  const notes = spoken("notes", "status"); // there from the beginning, for readers of screens tell of changes alone
  const refusals = spoken("refusals", "alert");
  addEventListener("DOMContentLoaded", () => document.body.append(notes, refusals));
  window.toast = (text, bad) => {
    const line = Object.assign(document.createElement("p"), { className: bad ? "toast bad" : "toast" });
    line.append(Object.assign(document.createElement("span"), { textContent: text }));
    if (bad) {
      const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
      close.onclick = () => line.remove();
      line.append(close);
    } else setTimeout(() => line.remove(), 5000);
    (bad ? refusals : notes).append(line);
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
  const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");
  const WAIT_MS = 15000; // guessed: longer than any act takes
  const pending = new Map();
  window.acted = (key) => {
    clearTimeout(pending.get(key)?.timer);
    pending.delete(key);
  };
  // What a button says is read when it is pressed: a push may give it another row's meaning while the question is open.
  const said = (button) => ({ ...button.dataset });
  const act = (asked, given, key) => {
    const name = `${asked.act} ${asked.value || ""}`;
    if ([...pending.values()].some((one) => one.name === name)) return;
    const timer = setTimeout(() => {
      window.acted(key);
      window.toast("No answer yet. Look whether it was done before you do it again.", true);
    }, WAIT_MS);
    pending.set(key, { name, timer });
    emitEvent("act", { ...given, name: asked.act, value: asked.value || "", key });
  };
  const CUT = "There is no connection to the node: nothing was done. Try again when the page says live.";
  const ask = (button) => {
    const asked = said(button);
    const key = newKey();
    const dialog = document.createElement("dialog");
    const form = document.createElement("form");
    form.method = "dialog";
    const title = Object.assign(document.createElement("h2"), { textContent: asked.ask, id: "asked" });
    dialog.setAttribute("aria-labelledby", "asked");
    form.append(title);
    if (asked.detail) form.append(Object.assign(document.createElement("p"), { textContent: asked.detail }));
    for (const name of (asked.fields || "").split(" ").filter(Boolean)) form.append(FIELDS[name]());
    const cut = document.createElement("p");
    cut.setAttribute("role", "alert");
    const row = Object.assign(document.createElement("div"), { className: "buttons" });
    const cancel = Object.assign(document.createElement("button"), { type: "button", textContent: "Cancel" });
    const go = Object.assign(document.createElement("button"), { className: "primary", textContent: asked.verb || "OK" });
    cancel.onclick = () => dialog.close("");
    row.append(cancel, go);
    form.append(cut, row);
    form.onsubmit = (event) => {
      if (!connected()) {
        event.preventDefault();
        cut.textContent = CUT;
        return;
      }
      const given = Object.fromEntries(new FormData(form));
      if ("who" in given) kept("foreshock-who", given.who);
      act(asked, given, key);
    };
    dialog.append(form);
    dialog.onclose = () => {
      dialog.remove();
      if (button.isConnected) button.focus();
    };
    document.body.append(dialog);
    dialog.showModal();
  };
  const copy = async (id) => {
    const place = document.getElementById(id);
    try {
      await navigator.clipboard.writeText(place.textContent);
    } catch {
      // only pages of this machine or over TLS have a clipboard; everywhere else what is selected can be copied
      getSelection().selectAllChildren(place);
      if (!document.execCommand("copy")) return window.toast("This browser does not let pages copy. It is selected: press Ctrl+C.", true);
    }
    window.toast("Copied.");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.dataset.act && button.dataset.ask) ask(button);
    else if (button.dataset.act) connected() ? act(said(button), {}, newKey()) : window.toast(CUT, true);
    else if (button.dataset.copy) copy(button.dataset.copy);
    else if ("themeSwitch" in button.dataset) {
      const next = THEMES[(THEMES.indexOf(kept("foreshock-theme")) + 1) % THEMES.length];
      dress(kept("foreshock-theme", next));
    }
  });
  // What is long is sent when somebody opens it.
  document.addEventListener(
    "toggle",
    (event) => {
      const name = event.target.dataset?.opens;
      if (name !== undefined) emitEvent("opens", { name, open: event.target.open });
    },
    true,
  );
  // A key that is held down presses again and again.
  document.addEventListener("keydown", (event) => {
    if (event.repeat && event.key === "Enter" && event.target.closest?.("[data-act], dialog")) event.preventDefault();
  });

  // --- the URL holds what is looked at -------------------------------------------------------------------------------
  window.sayInUrl = (name, value) => {
    const url = new URL(location.href);
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
    history.replaceState(history.state, "", url);
  };
  // Tenant and range are chosen without losing what else the address says. Who goes through the options by arrows is not taken away
  // at the first: a button is there then.
  const go = (form) => {
    const url = new URL(location.href);
    for (const [name, value] of new FormData(form)) {
      if (value === form.elements[name].dataset.usual) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    location.assign(url);
  };
  let byKey = false;
  document.addEventListener("keydown", (event) => (byKey = event.key.startsWith("Arrow") || event.key.length === 1), true);
  document.addEventListener("pointerdown", () => (byKey = false), true);
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("form.scope select")) return;
    if (byKey) event.target.form.querySelector("button").hidden = false;
    else go(event.target.form);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches?.("form.scope")) return;
    event.preventDefault();
    go(event.target);
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
