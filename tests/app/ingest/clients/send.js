// The OpenTelemetry SDK for JavaScript, told to send the table of tests/app/ingest/truth.py.
//
//   node send.js PROTOCOL COMPRESSION ADDRESS < truth.json
//
// PROTOCOL is grpc, http/json or http/protobuf, COMPRESSION none or gzip, ADDRESS host:port. What the SDK itself wrote of
// exceptions that were raised goes to standard output, by span id.
import { readFileSync } from "node:fs";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, compression, address] = process.argv.slice(2);
const suffix = { grpc: "grpc", "http/json": "http", "http/protobuf": "proto" }[protocol];
const truth = JSON.parse(readFileSync(0, "utf-8"));
const raised = {};
let next; // the record whose ids the SDK takes

async function exporter(signal, name) {
  const module = await import(`@opentelemetry/exporter-${signal}-otlp-${suffix}`);
  const path = { trace: "traces", logs: "logs", metrics: "metrics" }[signal];
  const url = protocol === "grpc" ? `http://${address}` : `http://${address}/v1/${path}`;
  return new module[name]({ url, compression });
}

function time(nanoseconds) {
  const whole = BigInt(nanoseconds);
  return [Number(whole / 1_000_000_000n), Number(whole % 1_000_000_000n)];
}

function context(traceId, spanId, state) {
  if (!spanId) return ROOT_CONTEXT;
  const traceState = state ? createTraceState(state) : undefined;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, isRemote: true, traceFlags: TraceFlags.SAMPLED, traceState });
}

function sendSpan(tracer, told) {
  next = told;
  const options = { kind: SpanKind[told.kind], startTime: time(told.start_ns), attributes: told.attributes };
  const span = tracer.startSpan(told.name, options, context(told.trace, told.parent, told.trace_state));
  for (const event of told.events) {
    if (event.raised) {
      span.recordException(new RangeError(event.raised), time(event.time_ns));
      raised[told.span] = span.events.at(-1).attributes;
    } else {
      span.addEvent(event.name, event.attributes, time(event.time_ns));
    }
  }
  if (told.status !== "UNSET") {
    span.setStatus({ code: SpanStatusCode[told.status], message: told.message || undefined });
  }
  span.end(time(told.end_ns));
}

function sendLog(logger, told) {
  logger.emit({
    timestamp: time(told.time_ns),
    severityNumber: told.severity || undefined,
    severityText: told.text,
    body: told.body,
    attributes: told.attributes,
    context: context(told.trace, told.span),
  });
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

for (const [service, attributes] of Object.entries(truth.resources)) {
  const resource = resourceFromAttributes(attributes);
  const mine = (records) => records.filter((record) => record.service === service);
  const spans = new BatchSpanProcessor(await exporter("trace", "OTLPTraceExporter"), { maxExportBatchSize: 32 });
  const idGenerator = { generateTraceId: () => next.trace, generateSpanId: () => next.span };
  const tracing = new BasicTracerProvider({ resource, idGenerator, spanProcessors: [spans] });
  const logs = new BatchLogRecordProcessor({
    exporter: await exporter("logs", "OTLPLogExporter"),
    maxExportBatchSize: 7,
  });
  const logging = new LoggerProvider({ resource, processors: [logs] });
  const reader = new PeriodicExportingMetricReader({
    exporter: await exporter("metrics", "OTLPMetricExporter"),
    exportIntervalMillis: 3_600_000,
  });
  const metering = new MeterProvider({ resource, readers: [reader] });
  for (const told of mine(truth.spans)) sendSpan(tracing.getTracer("tests"), told);
  for (const told of mine(truth.logs)) sendLog(logging.getLogger("tests"), told);
  measure(metering.getMeter("tests"), mine(truth.points));
  await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);
}
console.log(JSON.stringify(raised));
