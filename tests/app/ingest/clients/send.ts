// The OpenTelemetry SDK for Rust, which Deno has built in, told to send one service's part of tests/app/ingest/truth.py.
//
//   deno run send.ts SERVICE < truth.json
//
// Where to and how is in Deno's own environment variables. The SDK chooses ids itself; they go to standard output by the id
// that the table has, with what was raised. Log records are what the console is told, the one way in that Deno has.
const [service] = Deno.args;
const truth = await new Response(Deno.stdin.readable).json();
const ids = {};
const traces = {};
const raised = {};
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

function context(told) {
  if (!told.parent) return undefined;
  const traceId = traces[told.trace] ?? told.trace;
  const spanId = ids[told.parent]?.[1] ?? told.parent;
  const span = { spanContext: () => ({ traceId, spanId, traceFlags: 1, isRemote: !(told.parent in ids) }) };
  const self = { getValue: (key) => (key === SPAN ? span : undefined), setValue: () => self, deleteValue: () => self };
  return self;
}

function time(nanoseconds) {
  return new Date(Number((BigInt(nanoseconds) + 500_000n) / 1_000_000n));
}

function sendSpan(tracer, told) {
  const kind = ["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].indexOf(told.kind);
  const options = { kind, startTime: time(told.start_ns), attributes: told.attributes };
  const span = tracer.startSpan(told.name, options, context(told));
  const { traceId, spanId } = span.spanContext();
  traces[told.trace] = traceId;
  ids[told.span] = [traceId, spanId];
  for (const event of told.events) {
    if (event.raised) {
      const error = new RangeError(event.raised);
      span.recordException(error, time(event.time_ns));
      raised[spanId] = {
        "exception.type": error.name,
        "exception.message": error.message,
        "exception.stacktrace": error.stack,
      };
    } else {
      span.addEvent(event.name, event.attributes, time(event.time_ns));
    }
  }
  if (told.status !== "UNSET") {
    span.setStatus({ code: ["UNSET", "OK", "ERROR"].indexOf(told.status), message: told.message });
  }
  span.end(time(told.end_ns));
}

function measure(meter, points) {
  const instruments = {};
  for (const point of points) {
    const kind = { sum: "createCounter", gauge: "createGauge", histogram: "createHistogram" }[point.kind];
    const instrument = (instruments[point.name] ??= meter[kind](point.name));
    if (point.kind === "sum") instrument.add(point.value, point.attributes);
    else instrument.record(point.value, point.attributes);
  }
}

const mine = (records) => records.filter((record) => record.service === service);
for (const told of mine(truth.spans)) sendSpan(Deno.telemetry.tracerProvider.getTracer("tests"), told);
for (const told of mine(truth.logs)) console[{ 5: "debug", 9: "info", 13: "warn", 17: "error" }[told.severity]](told.body);
measure(Deno.telemetry.meterProvider.getMeter("tests"), mine(truth.points));
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ ids, raised })));
