// Sends spans and logs in JSON with the OpenTelemetry SDK, set up by nothing but its defaults and environment.
// Prints as JSON what was sent, counted here.
const { BasicTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");

async function main() {
  const resource = resourceFromAttributes({ "service.name": "sdk-json", "service.instance.id": "1" });
  const attributes = { text: "ü🚲", empty: "", int: -7, double: 0.5, true: true, texts: ["a", "b"], ints: [1, 2, 3] };
  const traces = new BasicTracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())] });
  const logs = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
  const tracer = traces.getTracer("sdk.test", "1.2");
  const span = tracer.startSpan("outer", { attributes });
  span.addEvent("something", { n: 1 });
  span.end();
  const logger = logs.getLogger("sdk");
  for (let i = 0; i < 3; i++) logger.emit({ severityNumber: 13, body: { sent: i } });
  await traces.forceFlush();
  await logs.forceFlush();
  await traces.shutdown();
  await logs.shutdown();
  const { traceId, spanId } = span.spanContext();
  console.log(JSON.stringify({ service: "sdk-json", attributes, trace_id: traceId, outer: spanId, logs: 3 }));
}

main().catch((error) => { console.error(error); process.exit(1); });
