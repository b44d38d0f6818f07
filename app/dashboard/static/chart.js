// A chart of ECharts as it comes in NiceGUI's wheel, in the colours of the page, and frame by frame where there are frames.
import { echarts } from "nicegui-echart";

const COLORS = /color$/i; // only there two dashes name a colour; a service may be called `--ink`
const painted = (value, style, key = "") => {
  if (typeof value === "string" && value.startsWith("--") && COLORS.test(key)) return style.getPropertyValue(value).trim();
  if (Array.isArray(value)) return value.map((one) => painted(one, style));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, painted(one, style, name)]));
  return value;
};
const charts = new Set();
window.chartsOfPage = () => [...charts]; // for who looks from outside at what is drawn, as the tests do
const FORMATS = {
  percent: (value) => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(value && value < 0.1 ? 1 : 0)} %`),
  seconds: (value) => (value === null || value === undefined ? "–" : !value ? "0 s" : value < 1 ? `${(value * 1000).toPrecision(3)} ms` : `${value.toPrecision(3)} s`),
  number: (value) => (value === null || value === undefined ? "–" : new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(value)),
};

export default {
  template: '<div><div class="chart" :class="size" role="img" :aria-label="label"></div></div>',
  props: { options: Object, format: String, frames: Array, size: String, label: String },
  mounted() {
    this.place = this.$el.firstChild;
    this.chart = echarts.init(this.place, null, { renderer: "canvas" });
    charts.add(this.chart);
    this.dress = () => this.draw(true);
    window.addEventListener("themechange", this.dress);
    this.observer = new ResizeObserver(() => {
      this.chart.resize();
      if (this.frames?.length) this.draw(true); // arrows keep their old ends else
    });
    this.observer.observe(this.place);
    if (this.frames?.length) this.play();
    this.draw(true);
  },
  updated() {
    if (this.frames?.length && !this.button) this.play(); // the first of them came after the page
    this.draw(false);
  },
  unmounted() {
    window.removeEventListener("themechange", this.dress);
    this.observer.disconnect();
    clearInterval(this.beat);
    charts.delete(this.chart);
    this.chart.dispose();
  },
  methods: {
    draw(anew) {
      const style = getComputedStyle(document.documentElement);
      const options = painted(JSON.parse(JSON.stringify(this.options)), style);
      const shown = FORMATS[this.format] || FORMATS.number;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      options.animation = !still && Boolean(this.frames?.length);
      options.textStyle = { color: style.getPropertyValue("--soft").trim(), fontFamily: "system-ui, sans-serif", fontSize: 12 };
      if (options.tooltip) options.tooltip = { ...options.tooltip, valueFormatter: (value) => (Array.isArray(value) ? value.map(shown).join(" to ") : shown(value)), confine: true, backgroundColor: style.getPropertyValue("--panel").trim(), borderColor: style.getPropertyValue("--line").trim(), textStyle: { color: style.getPropertyValue("--ink").trim(), fontSize: 12 } };
      if (options.yAxis && options.yAxis.axisLabel) options.yAxis.axisLabel.formatter = shown;
      // A series that is no longer sent must not stay: it would look like one of the present.
      this.chart.setOption(options, { notMerge: anew, replaceMerge: this.frames?.length ? [] : ["series"] });
      if (this.frames?.length) this.show(this.at ?? this.frames.length - 1);
    },
    play() {
      const bar = Object.assign(document.createElement("div"), { className: "player" });
      this.button = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
      this.slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: this.frames.length - 1, value: this.frames.length - 1 });
      this.slider.setAttribute("aria-label", "Moment of the incident");
      this.said = document.createElement("output");
      bar.append(this.button, this.slider, this.said);
      this.$el.append(bar);
      this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
      this.button.addEventListener("click", () => {
        if (this.beat) return this.stop();
        this.button.textContent = "Pause";
        this.show(this.at >= this.frames.length - 1 ? 0 : this.at + 1);
        this.beat = setInterval(() => (this.at >= this.frames.length - 1 ? this.stop() : this.show(this.at + 1)), 900);
      });
    },
    stop() {
      clearInterval(this.beat);
      this.beat = 0;
      this.button.textContent = "Play";
    },
    show(at) {
      this.at = Math.min(at, this.frames.length - 1);
      const frame = this.frames[this.at];
      const style = getComputedStyle(document.documentElement);
      this.chart.setOption(painted(frame.options, style));
      this.slider.max = this.frames.length - 1;
      this.slider.value = this.at;
      this.slider.setAttribute("aria-valuetext", frame.text);
      this.said.textContent = frame.text;
    },
  },
};
