// Markup of the server that changes in place: what stays the same is left alone, so that what is open stays open, words that are typed
// stay typed, and who is at something by keyboard stays there. Elements are the same by `data-key` or `id`, and else by their place.
const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.dataset.key || node.id)) || "";
const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;
const OWNED = { DETAILS: ["open"], INPUT: ["value"] }; // what belongs to the person, not to the server

const sync = (old, fresh) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const owned = OWNED[old.nodeName] || [];
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !owned.includes(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !owned.includes(name)) old.setAttribute(name, value);
  }
  if (old.nodeName !== "TIME") children(old, fresh); // the text of a time is the browser's: an age that counts on
};

const children = (old, fresh) => {
  const keyed = new Map([...old.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const found = key ? keyed.get(key) : at && !keyOf(at) ? at : null;
    if (found && alike(found, wanted)) {
      keyed.delete(key);
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      sync(found, wanted);
    } else old.insertBefore(wanted, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

export default {
  template: '<component :is="tag"></component>',
  props: { content: String, tag: String },
  mounted() {
    this.$el.innerHTML = this.shown = this.content;
  },
  updated() {
    if (this.content === this.shown) return;
    this.shown = this.content;
    const fresh = document.createElement("template");
    fresh.innerHTML = this.content;
    const active = document.activeElement;
    children(this.$el, fresh.content);
    if (active !== document.activeElement && this.$el.contains(active)) active.focus({ preventScroll: true }); // it was moved
  },
};
