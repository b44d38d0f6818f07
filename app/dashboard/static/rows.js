// The services of a tenant as a table of any length: only the rows in sight are in the document, and the server sends what changed.
// A row is a list in the order of COLUMNS of app/dashboard/board.py; a sparkline is a text of characters, see `spark` there.
const [SERVICE, P5, P15, P60, STATUS, REASON, AS_OF, EXPIRES, REQUESTS, ERRORS, INCIDENT, SINCE] = Array(12).keys();
const POINTS = 60;
const HEADS = [
  ["service", "Service", SERVICE, 1],
  ["hour", "Last hour", null, 0],
  ["p5", "5 min", P5, -1],
  ["p15", "15 min", P15, -1],
  ["p60", "60 min", P60, -1],
  ["status", "Status", STATUS, 1],
  ["reason", "Strongest reason", null, 0],
  ["errors", "Failed", ERRORS, -1],
  ["requests", "Requests", REQUESTS, -1],
  ["age", "As of", AS_OF, 1],
];
const STATUSES = {
  warming_up: "warming up",
  prior: "no model yet",
  ok: "ok",
  in_incident: "in incident",
  stale: "stale",
};

const percent = (share) => {
  if (share === null) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  if (value > 99 && value < 100) return ">99 %";
  return value > 0 && value < 10 ? `${value.toFixed(1)} %` : `${value.toFixed(0)} %`;
};
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const level = (share) => (share === null ? "open" : share >= 0.5 ? "high" : share >= 0.2 ? "middle" : "low");
const make = (tag, name, parent) => {
  const one = document.createElement(tag);
  if (name) one.className = name;
  if (parent) parent.append(one);
  return one;
};
const NO_QUESTION = "An incident is open: the chance that one begins is no question";
const reason = (row) => row[REASON] || (row[P60] === null ? (row[INCIDENT] ? "" : "an incident is open") : row[REASON] === null ? "–" : "nothing stands out");
const put = (place, text) => {
  if (place.textContent !== text) place.textContent = text;
};

export default {
  template: '<div class="rows"></div>',
  props: { rows: Array, number: Number, query: String, search: String, sort: String, tick: Number },
  mounted() {
    this.all = new Map(this.rows.map((row) => [row[SERVICE], row]));
    this.sparks = new Map();
    this.upTo = this.number;
    this.made = new Map();
    this.order = [];
    this.words = this.search || "";
    const [key, falls] = (this.sort || "p60-").split(/(-?)$/);
    this.key = HEADS.some(([name, , column]) => name === key && column !== null) ? key : "p60";
    this.falls = falls === "-";
    this.build();
    this.arrange();
    this.beat = setInterval(() => this.age(), 1000);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.port);
  },
  unmounted() {
    clearInterval(this.beat);
    this.observer.disconnect();
  },
  methods: {
    build() {
      const bar = make("div", "rows-bar", this.$el);
      const label = make("label", "search", bar);
      label.append("Search ");
      this.box = make("input", "", label);
      Object.assign(this.box, { type: "search", value: this.words, placeholder: "service, status or reason" });
      this.box.addEventListener("input", () => {
        this.words = this.box.value;
        window.sayInUrl("q", this.words);
        this.port.scrollTop = 0;
        this.arrange();
      });
      const chooser = make("label", "sorted", bar);
      chooser.append("Sort by ");
      this.choice = make("select", "", chooser);
      for (const [name, text, column] of HEADS) {
        if (column !== null) this.choice.append(new Option(text, name));
      }
      this.choice.addEventListener("change", () => this.by(this.choice.value, true));
      this.count = make("span", "count", bar);
      this.count.setAttribute("role", "status");
      const table = make("div", "table", this.$el);
      table.setAttribute("role", "table");
      table.setAttribute("aria-label", "Services by risk");
      this.table = table;
      const group = make("div", "", table);
      group.setAttribute("role", "rowgroup");
      const head = make("div", "row head", group);
      head.setAttribute("role", "row");
      this.heads = HEADS.map(([name, text, column]) => {
        const cell = make("div", name, head);
        cell.setAttribute("role", "columnheader");
        if (column === null) cell.textContent = text;
        else make("button", "", cell).addEventListener("click", () => this.by(name, false));
        return cell;
      });
      this.port = make("div", "port", table);
      this.port.setAttribute("role", "rowgroup");
      this.port.tabIndex = 0;
      this.port.setAttribute("aria-label", "Rows; arrows scroll");
      this.space = make("div", "space", this.port);
      this.space.setAttribute("role", "presentation");
      this.port.addEventListener("scroll", () => this.draw(), { passive: true });
    },
    by(name, fresh) {
      const natural = HEADS.find(([other]) => other === name)[3];
      this.falls = this.key === name && !fresh ? !this.falls : natural < 0;
      this.key = name;
      window.sayInUrl("sort", name === "p60" && this.falls ? "" : name + (this.falls ? "-" : ""));
      this.arrange();
    },
    arrange() {
      this.later = 0;
      const column = HEADS.find(([name]) => name === this.key)[2];
      const words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
      const holds = (row) => {
        if (!words.length) return true;
        const text = `${row[SERVICE]} ${STATUSES[this.status(row)]} ${row[REASON] ?? ""}`.toLowerCase();
        return words.every((word) => text.includes(word));
      };
      const sign = this.falls ? -1 : 1;
      // A chance that is no question is of a service in which an incident is open: it stands above every chance.
      const chance = (row, place) => row[place] ?? 2;
      const worth = [P5, P15, P60].includes(column) ? chance : (row, place) => row[place] ?? -1;
      const order = (one, other) => {
        const [a, b] = [worth(one, column), worth(other, column)];
        if (a !== b) return a < b ? -sign : sign;
        if (one[P60] !== other[P60]) return chance(other, P60) - chance(one, P60);
        if (one[SINCE] !== other[SINCE]) return (one[SINCE] ?? 0) - (other[SINCE] ?? 0); // who began first may be the cause
        return one[SERVICE] < other[SERVICE] ? -1 : 1;
      };
      this.order = [...this.all.values()].filter(holds).sort(order);
      HEADS.forEach(([name, text, where], place) => {
        const cell = this.heads[place];
        const chosen = name === this.key;
        if (where === null) return;
        cell.setAttribute("aria-sort", chosen ? (this.falls ? "descending" : "ascending") : "none");
        put(cell.firstChild, chosen ? `${text} ${this.falls ? "↓" : "↑"}` : text);
      });
      this.choice.value = this.key;
      const many = this.all.size === 1 ? "1 service" : `${number.format(this.all.size)} services`;
      put(this.count, words.length ? `${number.format(this.order.length)} of ${many}` : many);
      this.table.setAttribute("aria-rowcount", this.order.length + 1);
      this.draw();
    },
    soon() {
      if (!this.later) this.later = requestAnimationFrame(() => this.arrange());
    },
    draw() {
      const height = parseFloat(getComputedStyle(this.$el).getPropertyValue("--row")) || 44;
      this.space.style.height = `${this.order.length * height}px`;
      const first = Math.max(Math.floor(this.port.scrollTop / height) - 4, 0);
      const last = Math.min(Math.ceil((this.port.scrollTop + this.port.clientHeight) / height) + 4, this.order.length);
      const wanted = this.order.slice(first, last);
      const places = wanted.map((_, place) => first + place);
      // Who is at a row by keyboard stays at it, also when it moves out of sight.
      const held = [...this.made].find(([, one]) => one.line.contains(document.activeElement));
      const far = held ? this.order.findIndex((row) => row[SERVICE] === held[0]) : -1;
      if (far >= 0 && (far < first || far >= last)) {
        const [add, where] = far < first ? ["unshift", 0] : ["push", wanted.length];
        wanted[add](this.order[far]);
        places.splice(where, 0, far);
      }
      const names = new Set(wanted.map((row) => row[SERVICE]));
      for (const [name, one] of this.made) {
        if (!names.has(name)) {
          one.line.remove();
          this.made.delete(name);
        }
      }
      let next = this.space.firstChild;
      wanted.forEach((row, place) => {
        let one = this.made.get(row[SERVICE]);
        if (!one) this.made.set(row[SERVICE], (one = this.line(row[SERVICE])));
        if (one.line === next) next = next.nextSibling;
        else if (one.line.contains(document.activeElement)) {
          // Who is at this row by keyboard stays there: those before it move behind, and find their place in turn.
          while (next && next !== one.line) {
            const behind = next.nextSibling;
            this.space.append(next);
            next = behind;
          }
          next = one.line.nextSibling;
        } else this.space.insertBefore(one.line, next);
        one.line.style.transform = `translateY(${places[place] * height}px)`;
        one.line.setAttribute("aria-rowindex", places[place] + 2);
        this.fill(one, row);
      });
    },
    line(name) {
      const line = make("div", "row", null);
      line.setAttribute("role", "row");
      const cells = {};
      for (const [cell] of HEADS) {
        cells[cell] = make("div", cell, line);
        cells[cell].setAttribute("role", "cell");
      }
      const link = make("a", "", cells.service);
      link.href = `/service/${encodeURIComponent(name)}${this.query}`;
      link.textContent = name;
      cells.hour.innerHTML = '<svg viewBox="0 0 120 24" preserveAspectRatio="none" aria-hidden="true"><path/></svg><span class="only-read"></span>';
      const bar = make("span", "bar", cells.p60);
      make("span", "fill", bar);
      make("span", "value", cells.p60);
      make("span", "chip", cells.status);
      make("a", "", cells.reason);
      make("span", "", cells.reason);
      make("time", "", cells.age);
      return { line, cells, row: null, spark: null };
    },
    status(row) {
      return row[EXPIRES] < window.serverNow() ? "stale" : row[STATUS];
    },
    fill(one, row) {
      const { cells } = one;
      const spark = this.sparks.get(row[SERVICE]) || "";
      if (one.row !== row) {
        put(cells.p5, percent(row[P5]));
        put(cells.p15, percent(row[P15]));
        put(cells.p60.lastChild, row[P60] === null ? "open" : percent(row[P60]));
        for (const cell of [cells.p5, cells.p15, cells.p60]) cell.title = row[P60] === null ? NO_QUESTION : "";
        cells.p60.firstChild.firstChild.style.width = `${row[P60] * 100}%`;
        one.line.dataset.level = level(row[P60]);
        const [open, rest] = cells.reason.children;
        open.href = `/incident/${encodeURIComponent(row[INCIDENT])}${this.query}`;
        open.hidden = !row[INCIDENT];
        put(rest, row[INCIDENT] && row[REASON] ? `; ${row[REASON]}` : reason(row));
        cells.reason.title = row[REASON] || "";
        put(cells.errors, percent(row[ERRORS]));
        put(cells.requests, row[REQUESTS] === null ? "–" : `${number.format(row[REQUESTS])}/min`);
        one.row = row;
      }
      if (one.spark !== spark) {
        const values = [...spark].map((letter) => (letter === " " ? null : ((letter.charCodeAt(0) - 35) / 90) ** 2));
        const known = values.filter((value) => value !== null);
        const most = Math.max(0.05, ...known);
        const step = 120 / (POINTS - 1);
        const start = 120 - (values.length - 1) * step;
        // A hole stays one; what has no neighbour is a dot, which a line of no length with round ends is.
        const points = values.map((value, place) => {
          if (value === null) return "";
          const before = place && values[place - 1] !== null;
          return `${before ? "L" : "M"}${(start + place * step).toFixed(1)},${(22 - (value / most) * 20).toFixed(1)}${before ? "" : "h0"}`;
        });
        cells.hour.firstChild.firstChild.setAttribute("d", points.join(""));
        put(cells.hour.lastChild, known.length ? `${percent(Math.min(...known))} to ${percent(Math.max(...known))} in the last hour` : "");
        one.spark = spark;
      }
      this.late(one, row);
    },
    late(one, row) {
      const status = this.status(row);
      const chip = one.cells.status.firstChild;
      put(chip, STATUSES[status]);
      chip.dataset.status = status;
      if (row[SINCE] !== null) put(one.cells.reason.firstChild, `incident open, ${window.ageOf(window.serverNow() - row[SINCE], true)}`);
      const time = one.cells.age.firstChild;
      const at = new Date(row[AS_OF] * 1000);
      put(time, window.ageOf(window.serverNow() - row[AS_OF]));
      time.dateTime = time.title = at.toISOString();
    },
    age() {
      for (const one of this.made.values()) if (one.row) this.late(one, one.row);
    },
    patch(text) {
      const { number, rows, gone, as_of_s, expires_s, late } = JSON.parse(text);
      if (number <= this.upTo) return; // all that it says was in what came before
      this.upTo = number;
      const skip = new Set([...late, ...rows.map((row) => row[SERVICE])]);
      const grow = (name, value, before, at) => {
        const missed = before ? Math.min(Math.round((at - before) / this.tick) - 1, POINTS) : 0;
        const point = value === null ? " " : String.fromCharCode(35 + Math.round(90 * Math.sqrt(Math.min(Math.max(value, 0), 1))));
        this.sparks.set(name, ((this.sparks.get(name) || "") + " ".repeat(Math.max(missed, 0)) + point).slice(-POINTS));
      };
      for (const name of gone) {
        this.all.delete(name);
        this.sparks.delete(name);
      }
      if (as_of_s) {
        for (const [name, row] of this.all) {
          if (skip.has(name)) continue;
          grow(name, row[P60], row[AS_OF], as_of_s);
          [row[AS_OF], row[EXPIRES]] = [as_of_s, expires_s];
        }
      }
      for (const row of rows) {
        const before = this.all.get(row[SERVICE]);
        if (!before || before[AS_OF] !== row[AS_OF]) grow(row[SERVICE], row[P60], before?.[AS_OF], row[AS_OF]);
        this.all.set(row[SERVICE], row);
      }
      this.soon();
    },
    replace(text) {
      const { number, rows, sparks } = JSON.parse(text);
      if (number < this.upTo) return;
      this.upTo = number;
      this.all = new Map(rows.map((row) => [row[SERVICE], row]));
      this.sparks = new Map(Object.entries(sparks));
      this.soon();
    },
  },
};
